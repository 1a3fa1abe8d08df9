"""Status codes of compiled code; the same numbers in C and in Python.

0 is success. 1 to 63 belong to the entry points of artifacts, 64 and above to compiled bodies.
"""

from __future__ import annotations

OK = 0
NULL_ARGUMENT = 1
MISALIGNED_WORKSPACE = 2
OUT_OF_MEMORY = 3
WEIGHTS_NOT_LOADED = 4
WEIGHTS_UNREADABLE = 5
WEIGHTS_MISMATCH = 6
UNSUPPORTED_PROCESSOR = 7
SELF_TEST_FAILED = 8
STATE_UNWRITABLE = 9
STATE_UNREADABLE = 10
STATE_MISMATCH = 11
SIZE_OUT_OF_RANGE = 64

MESSAGES: dict[int, str] = {
    OK: "success",
    NULL_ARGUMENT: "a pointer is NULL",
    MISALIGNED_WORKSPACE: "the workspace does not start at a multiple of 64 bytes",
    OUT_OF_MEMORY: "the workspace cannot be allocated",
    WEIGHTS_NOT_LOADED: "the weights file has not been loaded",
    WEIGHTS_UNREADABLE: "the weights file cannot be opened or mapped",
    WEIGHTS_MISMATCH: "the weights file is not the one that was written with this artifact",
    UNSUPPORTED_PROCESSOR: "the processor lacks the instructions that the code needs",
    SELF_TEST_FAILED: "an output of the self-test is not what it was when the artifact was made",
    STATE_UNWRITABLE: "the file of the state cannot be written",
    STATE_UNREADABLE: "the file of the state cannot be read",
    STATE_MISMATCH: "the file is not a state of this model, or it is damaged",
    SIZE_OUT_OF_RANGE: "a size is not in the range that the model was compiled for",
}


def message(status: int) -> str:
    """What `status` means, in a few words."""
    return MESSAGES.get(status, f"the model's code reported status {status}")
