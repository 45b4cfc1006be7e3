"""What a start gets over the network: AWS credentials, KMS, S3, Confidant."""
