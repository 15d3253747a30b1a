"""Public keys: the part of the protocols with encryption that needs the package `cryptography`."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def load_public_key(pem: str) -> rsa.RSAPublicKey:
    """PKCS#1 or SubjectPublicKeyInfo; ValueError for anything that is no RSA key."""
    try:
        key = serialization.load_pem_public_key(pem.encode("ascii"))
    except Exception as error:  # the library has several, by version: none of them may end a session
        raise ValueError(f"not a public key: {error}") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def same_key(one: str, other: str) -> bool:
    """Whether two PEM texts are the same, however their lines end."""
    return "".join(one.split()) == "".join(other.split())
