"""Names of files in archives."""


def normal(name: str) -> str:
    """The absolute path that the name in an archive stands for; ".." leads no higher than the top."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
