"""Which of an artifact's instruction sets the processor can run, as LLVM IR.

Levels are those of the x86-64 psABI (section 3.1.1, "Processor Architecture"), told from CPUID and
from XCR0, in which the operating system says which registers it saves (Intel SDM, volume 1,
chapter 14).
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime import status
from tensorkiln.runtime.errors import ArtifactError

LEVELS = {"x86-64": 1, "x86-64-v2": 2, "x86-64-v3": 3, "x86-64-v4": 4}
# level -> bits of CPUID 1 ECX, 7 EBX, 0x80000001 ECX, and of XCR0
_NEEDED = {
    2: ((0, 9, 13, 19, 20, 23), (), (0,), ()),
    3: ((12, 22, 27, 28, 29), (3, 5, 8), (5,), (1, 2)),
    4: ((), (16, 17, 28, 30, 31), (), (1, 2, 5, 6, 7)),
}


def level_of(target: Target) -> int:
    """The x86-64 level of a target; ArtifactError for targets that are no such level."""
    if target.name not in LEVELS:
        raise ArtifactError(
            f"an artifact with several instruction sets is made of {', '.join(LEVELS)},"
            f" not of {target.name}"
        )
    return LEVELS[target.name]


def dispatch_text(prefix: str, levels: Sequence[int]) -> str:
    """`P_select`, `P_level`, and `@chosen_version` for the run functions.

    `@chosen_version` is the index of the version to run: -1 none can, -2 nobody has looked yet.
    """
    rows = ", ".join(f"i32 {level}" for level in levels)
    return "\n".join(
        [
            f"@levels = internal constant [{len(levels)} x i32] [{rows}]",
            "@version = internal global i32 -2",
            _cpu_level(),
            _best(len(levels)),
            _select(prefix),
        ]
    )


def _mask(bits: Sequence[int]) -> int:
    return sum(1 << bit for bit in bits)


def _cpu_level() -> str:
    """`i32 @cpu_level()`: the highest level of this processor under this system."""
    lines = [
        "define internal i32 @cpu_level() {",
        "  %most = call i32 @cpuid(i32 0, i32 0)",  # EAX: the highest leaf
        "  %one = call i32 @cpuid_c(i32 1, i32 0)",
        "  %has7 = icmp uge i32 %most, 7",
        "  %leaf7 = select i1 %has7, i32 7, i32 0",
        "  %seven.any = call i32 @cpuid_b(i32 %leaf7, i32 0)",
        "  %seven = select i1 %has7, i32 %seven.any, i32 0",
        "  %more = call i32 @cpuid(i32 -2147483648, i32 0)",
        "  %has81 = icmp ugt i32 %more, -2147483648",
        "  %leaf81 = select i1 %has81, i32 -2147483647, i32 0",
        "  %extended.any = call i32 @cpuid_c(i32 %leaf81, i32 0)",
        "  %extended = select i1 %has81, i32 %extended.any, i32 0",
        "  %saves = and i32 %one, 134217728",  # OSXSAVE: XGETBV exists
        "  %can = icmp ne i32 %saves, 0",
        "  br i1 %can, label %ask, label %judge.none",
        "ask:",
        "  %asked = call i32 @xgetbv()",
        "  br label %judge",
        "judge.none:",
        "  br label %judge",
        "judge:",
        "  %state = phi i32 [ %asked, %ask ], [ 0, %judge.none ]",
    ]
    before = "true"
    level = "1"
    for number, masks in _NEEDED.items():
        names = ("%one", "%seven", "%extended", "%state")
        for name, bits in zip(names, masks, strict=True):
            if not bits:
                continue
            key = f"%l{number}.{name[1:]}"
            wanted = _mask(bits)
            lines += [
                f"  {key}.bits = and i32 {name}, {wanted}",
                f"  {key}.all = icmp eq i32 {key}.bits, {wanted}",
                f"  {key} = and i1 {before}, {key}.all",
            ]
            before = key
        lines.append(f"  %level.{number} = select i1 {before}, i32 {number}, i32 {level}")
        level = f"%level.{number}"
    lines += [f"  ret i32 {level}", "}"]
    registers = {"": 0, "_b": 1, "_c": 2}
    for suffix, position in registers.items():
        lines += [
            f"define internal i32 @cpuid{suffix}(i32 %leaf, i32 %part) {{",
            '  %all = call { i32, i32, i32, i32 } asm sideeffect "cpuid",'
            ' "={ax},={bx},={cx},={dx},0,2,~{dirflag},~{fpsr},~{flags}"(i32 %leaf, i32 %part)',
            f"  %one = extractvalue {{ i32, i32, i32, i32 }} %all, {position}",
            "  ret i32 %one",
            "}",
        ]
    lines += [
        "define internal i32 @xgetbv() {",
        '  %both = call { i32, i32 } asm sideeffect "xgetbv",'
        ' "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}"(i32 0)',
        "  %low = extractvalue { i32, i32 } %both, 0",
        "  ret i32 %low",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _best(count: int) -> str:
    """`@best(limit)`: the last version of at most that level; `@chosen_version()`, once found."""
    return f"""
define internal i32 @best(i32 %limit) {{
entry:
  br label %look
look:
  %index = phi i32 [ {count - 1}, %entry ], [ %next, %down ]
  %over = icmp slt i32 %index, 0
  br i1 %over, label %exit, label %test
test:
  %at = getelementptr i32, ptr @levels, i32 %index
  %level = load i32, ptr %at
  %fits = icmp sle i32 %level, %limit
  br i1 %fits, label %exit, label %down
down:
  %next = sub i32 %index, 1
  br label %look
exit:
  ret i32 %index
}}

define internal i32 @chosen_version() {{
entry:
  %before = load atomic i32, ptr @version monotonic, align 4
  %known = icmp ne i32 %before, -2
  br i1 %known, label %done, label %find
done:
  ret i32 %before
find:
  %level = call i32 @cpu_level()
  %best = call i32 @best(i32 %level)
  store atomic i32 %best, ptr @version monotonic, align 4
  ret i32 %best
}}
"""


def _select(prefix: str) -> str:
    return f"""
define i32 @{prefix}_select(i32 %wanted) {{
entry:
  %here = call i32 @cpu_level()
  %any = icmp sle i32 %wanted, 0
  %limit = select i1 %any, i32 %here, i32 %wanted
  %best = call i32 @best(i32 %limit)
  %none = icmp slt i32 %best, 0
  br i1 %none, label %fail, label %check
check:
  %at = getelementptr i32, ptr @levels, i32 %best
  %level = load i32, ptr %at
  %exact = icmp eq i32 %level, %wanted
  %named = or i1 %any, %exact
  %runs = icmp sle i32 %level, %here
  %good = and i1 %named, %runs
  br i1 %good, label %set, label %fail
set:
  store atomic i32 %best, ptr @version monotonic, align 4
  ret i32 {status.OK}
fail:
  ret i32 {status.UNSUPPORTED_PROCESSOR}
}}

define i32 @{prefix}_level() {{
entry:
  %index = call i32 @chosen_version()
  %none = icmp slt i32 %index, 0
  br i1 %none, label %nothing, label %found
nothing:
  ret i32 0
found:
  %at = getelementptr i32, ptr @levels, i32 %index
  %level = load i32, ptr %at
  ret i32 %level
}}
"""
