"""What must be true of several settings together."""

from pathlib import Path

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.table import Settings


def check(settings: Settings) -> None:
    """Refuse settings that contradict each other.

    Raises:
        HotplateError: TLS_INVALID when certificate and key are not both there and usable, else USAGE.
    """
    _check_tls(settings.cert, settings.key)
    if isinstance(settings.threads, int) and settings.threads > settings.max_threads:
        raise HotplateError(
            f"use {settings.threads} threads",
            f"max_threads is {settings.max_threads}",
            f"Add --max-threads {settings.threads}, or ask for fewer threads.",
            code=ExitCode.USAGE,
        )
    if settings.only == "tasks" and settings.task_workers == 0 and settings.beat != "on":
        raise HotplateError(
            "run tasks only",
            "task_workers is 0",
            "Give --task-workers auto, or --beat on for a machine that only sends what is scheduled.",
            code=ExitCode.USAGE,
        )
    if settings.health_path == "/":
        raise HotplateError(
            "answer health probes at /",
            "that would hide the app's front page",
            "Give a path that the app does not use, such as --health-path /-/health.",
            code=ExitCode.USAGE,
        )


def _check_tls(cert: str, key: str) -> None:
    if not cert and not key:
        return
    if not key:
        raise _refusal(f"serve TLS with the certificate {cert}", "its private key is missing", "Add --key FILE.")
    if not cert:
        raise _refusal(f"serve TLS with the key {key}", "its certificate is missing", "Add --cert FILE.")
    for flag, path in (("--cert", cert), ("--key", key)):
        try:
            Path(path).open("rb").close()
        except OSError as problem:
            cause = f"{path}: {problem.strerror or problem}"
            raise _refusal("serve TLS", cause, f"Give {flag} a PEM file that this user can read.") from None
    _check_pair(cert, key)


def _check_pair(cert: str, key: str) -> None:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: b"")
    except ssl.SSLError as problem:
        reason = (problem.reason or "").upper()
        if "MISMATCH" in reason:
            cause, remedy = f"{key} is not the key of {cert}", "Give the key that the certificate was issued for."
        elif b"ENCRYPTED" in Path(key).read_bytes():
            cause, remedy = f"{key} is encrypted", f"Decrypt it: openssl pkey -in {key} -out plain.pem."
        else:
            cause = f"{cert} and {key} are not a PEM certificate chain and a PEM key"
            remedy = f"Look at them: openssl x509 -in {cert} -noout -subject; openssl pkey -in {key} -noout."
        raise _refusal("serve TLS", cause, remedy) from None


def _refusal(attempted: str, cause: str, remedy: str) -> HotplateError:
    return HotplateError(attempted, cause, remedy, code=ExitCode.TLS_INVALID)
