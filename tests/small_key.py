"""An armoured public key of the least size that gpg reads; it signs nothing."""

BODY = "mDMEAAAAARYJKwYBBAHaRw8BAQdAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
TEXT = f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{BODY}\n-----END PGP PUBLIC KEY BLOCK-----\n"
IN_YAML = TEXT.replace("\n", "\\n").join('""')
