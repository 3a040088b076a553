from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from skep.crds.units import (
    format_duration,
    format_size,
    read_cpus,
    read_duration,
    read_flag,
    read_size,
    read_whole,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("256Mi", 268_435_456),
        ("1Gi", 1_073_741_824),
        ("512M", 512_000_000),
        ("2G", 2_000_000_000),
        ("20000K", 20_000_000),
        ("16384Ki", 16_777_216),
        ("16Mi", 16_777_216),
        ("1024Gi", 1_099_511_627_776),
    ],
)
def test_sizes_are_read_as_bytes(text: str, size_bytes: int) -> None:
    assert read_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("256", "'256' is not a size; say the unit, like 256Mi"),
        ("512MB", "'512MB' is not a size; write 512Mi (powers of 1024) or 512M (of 1000)"),
        ("512m", "'512m' is not a size; write 512Mi (powers of 1024) or 512M (of 1000)"),
        ("512mib", "'512mib' is not a size; write 512Mi (powers of 1024) or 512M (of 1000)"),
        ("1 Gi", "'1 Gi' is not a size; write 1Gi (powers of 1024) or 1G (of 1000)"),
        ("1.5Gi", "'1.5Gi' is not a size; write a whole number and Ki, Mi, Gi, K, M or G, like 256Mi"),
        ("-1Gi", "'-1Gi' is not a size; write a whole number and Ki, Mi, Gi, K, M or G, like 256Mi"),
        ("0Mi", "'0Mi' is not a size; write a whole number and Ki, Mi, Gi, K, M or G, like 256Mi"),
        ("much", "'much' is not a size; write a whole number and Ki, Mi, Gi, K, M or G, like 256Mi"),
        ("", "'' is not a size; write a whole number and Ki, Mi, Gi, K, M or G, like 256Mi"),
        ("256Mi\n", "'256Mi\\n' is not a size; write a whole number and Ki, Mi, Gi, K, M or G, like 256Mi"),
        ("\u0662Gi", "'\u0662Gi' is not a size; write a whole number and Ki, Mi, Gi, K, M or G, like 256Mi"),
        ("15Mi", "'15Mi' is out of range; use 16Mi to 1024Gi"),
        ("2000Gi", "'2000Gi' is out of range; use 16Mi to 1024Gi"),
        (True, "must be a size, like 256Mi"),
        ([], "must be a size, like 256Mi"),
    ],
)
def test_what_is_no_size_is_refused_with_what_to_write(text: object, message: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        read_size(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "duration_s"), [("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("500ms", 0.5), ("24h", 86_400.0)]
)
def test_durations_are_read_as_seconds(text: str, duration_s: float) -> None:
    assert read_duration(text) == duration_s


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", "'30' is not a duration; say the unit, like 30s"),
        ("0s", "'0s' is not a duration; it must be more than zero, like 30s"),
        ("0", "'0' is not a duration; it must be more than zero, like 30s"),
        ("1h30m", "'1h30m' is not a duration; write one whole number and ms, s, m or h, like 30s"),
        ("1.5h", "'1.5h' is not a duration; write one whole number and ms, s, m or h, like 30s"),
        ("30 s", "'30 s' is not a duration; write one whole number and ms, s, m or h, like 30s"),
        ("30S", "'30S' is not a duration; write one whole number and ms, s, m or h, like 30s"),
        ("1d", "'1d' is not a duration; write one whole number and ms, s, m or h, like 30s"),
        ("-5s", "'-5s' is not a duration; write one whole number and ms, s, m or h, like 30s"),
        ("soon", "'soon' is not a duration; write one whole number and ms, s, m or h, like 30s"),
        ("25h", "'25h' is out of range; use 1ms to 24h"),
        (True, "must be a duration, like 30s"),
        ({}, "must be a duration, like 30s"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: object, message: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        read_duration(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "cpus"), [("0.5", 0.5), ("500m", 0.5), ("2", 2.0), ("10m", 0.01), ("0.25", 0.25), ("256", 256.0)]
)
def test_cpus_are_read_as_cores(text: str, cpus: float) -> None:
    assert read_cpus(text) == cpus


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("half", "'half' is not a number of CPUs; write 0.5 or 500m for half a core, 2 for two"),
        ("-1", "'-1' is not a number of CPUs; write 0.5 or 500m for half a core, 2 for two"),
        (".5", "'.5' is not a number of CPUs; write 0.5 or 500m for half a core, 2 for two"),
        ("0,5", "'0,5' is not a number of CPUs; write 0.5 or 500m for half a core, 2 for two"),
        ("1e3", "'1e3' is not a number of CPUs; write 0.5 or 500m for half a core, 2 for two"),
        ("nan", "'nan' is not a number of CPUs; write 0.5 or 500m for half a core, 2 for two"),
        ("0.5m", "'0.5m' is not a number of CPUs; write 0.5 or 500m for half a core, 2 for two"),
        ("0", "'0' CPUs are out of range; use 0.01 to 256"),
        ("9m", "'9m' CPUs are out of range; use 0.01 to 256"),
        ("257", "'257' CPUs are out of range; use 0.01 to 256"),
        (float("nan"), "'nan' CPUs are out of range; use 0.01 to 256"),
        (True, "must be a number of CPUs, like 0.5"),
    ],
)
def test_what_is_no_number_of_cpus_is_refused_with_what_to_write(text: object, message: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        read_cpus(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("two", "'two' is not a whole number; write digits only, like 2"),
        ("2.5", "'2.5' is not a whole number; write digits only, like 2"),
        ("2.0", "'2.0' is not a whole number; write 2"),
        ("012", "'012' is not a whole number; write 12, without the leading zero"),
        ("0x10", "'0x10' is not a whole number; write digits only, like 2"),
        ("1_000", "'1_000' is not a whole number; write digits only, like 2"),
        ("1:30", "'1:30' is not a whole number; write digits only, like 2"),
        ("+2", "'+2' is not a whole number; write digits only, like 2"),
        ("\u0663", "'\u0663' is not a whole number; write digits only, like 2"),
        ("", "'' is not a whole number; write digits only, like 2"),
        ("9" * 5000, f"'{'9' * 57}...' is not a whole number; it is too large"),
        (True, "must be a whole number"),
    ],
)
def test_what_is_no_whole_number_is_refused_with_what_to_write(text: object, message: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        read_whole(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yes", "'yes' is not true or false; write true"),
        ("on", "'on' is not true or false; write true"),
        ("True", "'True' is not true or false; write true"),
        ("1", "'1' is not true or false; write true"),
        ("no", "'no' is not true or false; write false"),
        ("Off", "'Off' is not true or false; write false"),
        ("FALSE", "'FALSE' is not true or false; write false"),
        ("maybe", "'maybe' is not true or false; write true or false"),
        ("", "'' is not true or false; write true or false"),
        (1, "must be true or false"),
    ],
)
def test_only_true_and_false_are_flags(text: object, message: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        read_flag(text)
    assert str(refused.value) == message


@given(st.integers(16 * 1024**2, 1024 * 1024**3 // 1000).map(lambda n: n * 1000))
def test_a_size_survives_being_written_and_read(size_bytes: int) -> None:
    assert read_size(format_size(size_bytes)) == size_bytes


@given(st.integers(1, 86_400_000))
def test_a_duration_survives_being_written_and_read(milliseconds: int) -> None:
    assert read_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000
