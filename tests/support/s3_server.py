"""An S3 server in a process of its own: moto, which computes every signature again with AWS's own
library and refuses a wrong one.

    python -m tests.support.s3_server

Prints one line of JSON with its address and the keys of the one user who may do everything with
its bucket ``files``, and serves until its input ends.
"""

import json
import os
import sys

# Before moto reads it: from the first request on, signatures are checked.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"

from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

_ACCOUNT = "123456789012"
_ALL = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
)


def main() -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    users = iam_backends[_ACCOUNT]["aws"]
    users.create_user(region_name="us-east-1", user_name="dondoc")
    users.put_user_policy("dondoc", "all", _ALL)
    key = users.create_access_key("dondoc")
    s3_backends[_ACCOUNT]["aws"].create_bucket("files", "us-east-1")
    _, port = server.get_host_and_port()
    said = {
        "endpoint": f"http://127.0.0.1:{port}",
        "access_key": key.access_key_id,
        "secret_key": key.secret_access_key,
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
