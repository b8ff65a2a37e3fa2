"""What we use of authlib and the JOSE library below it: the extra `oidc`."""

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

__all__ = [
    "CodeIDToken",
    "InvalidKeyIdError",
    "JWSRegistry",
    "JoseError",
    "KeySet",
    "add_params_to_uri",
    "create_s256_code_challenge",
    "jwt",
]
