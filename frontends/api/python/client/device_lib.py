"""The machine's devices."""

from tensorkiln.frontends.graph.devices import AVAILABLE, Device


def list_local_devices(session_config: object = None) -> list[Device]:
    """The devices that sessions on this machine have."""
    return [Device(f"/device:{kind}:0") for kind in AVAILABLE]
