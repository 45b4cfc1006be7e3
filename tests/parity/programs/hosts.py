# canary: names and addresses, as distributed libraries ask for them
import socket
import uuid

name = socket.gethostname()
print("has a name:", bool(name))
print("localhost:", sorted({info[4][0] for info in socket.getaddrinfo("localhost", 80, socket.AF_INET)}))
try:
    print("my name resolves:", bool(socket.gethostbyname(name)))
except OSError as error:
    print("my name resolves:", error)
with socket.create_server(("0.0.0.0", 0)) as server:
    with socket.create_connection(("localhost", server.getsockname()[1])) as client:
        print("connected:", client.getpeername()[0])
try:
    socket.getaddrinfo("no-such-host.invalid", 80)
except socket.gaierror as error:
    print(error.errno == socket.EAI_NONAME or error.errno == socket.EAI_AGAIN)
print(len(uuid.uuid1().hex))
