"""The seccomp filter, run by a small interpreter of classic BPF."""

import struct

import pytest

from runner.sandbox import seccomp

X86 = 0xC000003E


def verdict(program: bytes, number: int, argument: int = 0, audit: int = X86) -> int:
    """What the filter returns for a system call."""
    data = {seccomp.NUMBER: number, seccomp.ARCHITECTURE: audit, seccomp.FIRST_ARGUMENT: argument & 0xFFFFFFFF}
    code = list(struct.iter_unpack("=HBBI", program))
    value, at = 0, 0
    tests = {
        seccomp.JUMP_EQUAL: lambda k: value == k,
        seccomp.JUMP_GREATER_EQUAL: lambda k: value >= k,
        seccomp.JUMP_SET: lambda k: bool(value & k),
    }
    while True:
        operation, yes, no, k = code[at]
        at += 1
        if operation == seccomp.RETURN:
            return int(k)
        if operation == seccomp.LOAD:
            value = data[k]
        else:
            at += yes if tests[operation](k) else no


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_each_denied_call_is_denied_and_others_are_not(machine: str) -> None:
    program = seccomp.filter_program(machine)
    assert program
    audit, column = seccomp.ARCHITECTURES[machine]
    denied = {numbers[column] for numbers in seccomp.DENIED.values()} - {None}
    special = {seccomp.CLONE3[column]}
    for number in range(460):
        expected = seccomp.EPERM if number in denied else seccomp.ENOSYS if number in special else seccomp.ALLOW
        assert verdict(program, number, audit=audit) == expected, number


def test_user_namespaces_are_denied_and_other_namespaces_are_not() -> None:
    program = seccomp.filter_program("x86_64")
    assert program
    for call in (seccomp.CLONE[0], seccomp.UNSHARE[0]):
        assert verdict(program, call, seccomp.CLONE_NEWUSER | 0x20000) == seccomp.EPERM
        assert verdict(program, call, 0x20000) == seccomp.ALLOW
    assert verdict(program, 0, seccomp.CLONE_NEWUSER) == seccomp.ALLOW


def test_other_ways_to_the_same_calls_are_denied() -> None:
    program = seccomp.filter_program("x86_64")
    assert program
    assert verdict(program, 0 | seccomp.X32_BIT) == seccomp.EPERM
    assert verdict(program, 0, audit=0x40000003) == seccomp.EPERM


def test_an_unknown_architecture_has_no_filter() -> None:
    assert seccomp.filter_program("s390x") is None
