# canary: boto3 with default credentials and region: S3, KMS, STS
import boto3

session = boto3.Session()
print("region", session.region_name, "credentials:", session.get_credentials() is not None)
identity = boto3.client("sts").get_caller_identity()
print("role", identity["Arn"].split("/")[1], "of", identity["Account"])
s3 = boto3.resource("s3")
bucket = s3.Bucket("lyftlearn-local")
bucket.put_object(Key="canary/äöü key.txt", Body=b"x" * 100_000)
print(len(bucket.Object("canary/äöü key.txt").get()["Body"].read()))
print([item.key for item in bucket.objects.filter(Prefix="canary/")])
bucket.objects.filter(Prefix="canary/").delete()
kms = boto3.client("kms")
sealed = kms.encrypt(KeyId="alias/confidant-at-rest", Plaintext=b"phi")["CiphertextBlob"]
print(kms.decrypt(CiphertextBlob=sealed)["Plaintext"])
try:
    bucket.Object("canary/none").load()
except boto3.client("s3").exceptions.ClientError as error:
    print(error.response["Error"]["Code"])
