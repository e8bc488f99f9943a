"""A certificate for 127.0.0.1: certificate.py DIR makes DIR/cert.pem, DIR/key.pem and its authority, DIR/ca.pem."""
import pathlib
import sys

import trustme

directory = pathlib.Path(sys.argv[1])
authority = trustme.CA()
certificate = authority.issue_cert("127.0.0.1", "localhost")
authority.cert_pem.write_to_path(directory / "ca.pem")
certificate.private_key_pem.write_to_path(directory / "key.pem")
for pem in certificate.cert_chain_pems:
    pem.write_to_path(directory / "cert.pem", append=True)
