"""What `cryptography` raises for certificates and lists that it does not understand."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    KeyError,  # a TLS feature (RFC 7633) in a certificate that it does not know
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,  # of certificates against RFC 5280, where warnings are errors
)
