from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from skep.crds.images import _read_image, is_allowed, parse_image

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "repository", "suffix"),
    [
        ("skep", "docker.io/library/skep", ""),
        ("skep:0.1.0", "docker.io/library/skep", ":0.1.0"),
        ("team/app", "docker.io/team/app", ""),
        ("docker.io/skep:1", "docker.io/library/skep", ":1"),
        ("index.docker.io/team/app", "docker.io/team/app", ""),
        ("localhost/app", "localhost/app", ""),
        ("localhost:5000/app:1", "localhost:5000/app", ":1"),
        ("registry.example.com/a/b__c/d-e.f:v1_2", "registry.example.com/a/b__c/d-e.f", ":v1_2"),
        ("registry:5000/app", "registry:5000/app", ""),
        (f"skep@{DIGEST}", "docker.io/library/skep", f"@{DIGEST}"),
        (f"skep:1@{DIGEST}", "docker.io/library/skep", f":1@{DIGEST}"),
    ],
)
def test_references_have_one_canonical_form(text: str, repository: str, suffix: str) -> None:
    image = parse_image(text)
    assert image is not None
    assert (image.repository, image.suffix) == (repository, suffix)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "write [registry/]name[:tag], like registry.example.com/app:1.0"),
        ("skep :1", "remove the white space"),
        ("skep:1\n", "remove the white space"),
        ("https://registry.example.com/app", "write it without the scheme, like registry.example.com/app:1.0"),
        ("Team/App:1", "repository names are lower case: team/app:1"),
        ("skep:", "its tag is empty"),
        ("skep:a/b:c", "write [registry/]name[:tag], like registry.example.com/app:1.0"),
        ("skep:-1", "write [registry/]name[:tag], like registry.example.com/app:1.0"),
        ("skep:" + "a" * 129, "write [registry/]name[:tag], like registry.example.com/app:1.0"),
        ("skep@sha256:abc", "its digest must be sha256: and 64 hexadecimal digits"),
        ("skep@", "its digest must be sha256: and 64 hexadecimal digits"),
        ("a//b", "write [registry/]name[:tag], like registry.example.com/app:1.0"),
        ("-skep", "write [registry/]name[:tag], like registry.example.com/app:1.0"),
        ("skep;rm", "write [registry/]name[:tag], like registry.example.com/app:1.0"),
        ("$(id)", "write [registry/]name[:tag], like registry.example.com/app:1.0"),
        ("a" * 256, "write [registry/]name[:tag], like registry.example.com/app:1.0"),
    ],
)
def test_what_is_no_reference_is_refused_with_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        _read_image(text)
    assert str(refused.value).endswith(f" is not an image; {remedy}")


@pytest.mark.parametrize(
    ("image", "pattern", "allowed"),
    [
        pytest.param("skep:1", "skep", True, id="no tag in the pattern means every tag"),
        pytest.param(f"skep:1@{DIGEST}", "skep", True, id="and every digest"),
        pytest.param("skep", "skep", True, id="and none"),
        pytest.param("docker.io/library/skep:1", "skep", True, id="canonical spelling, short pattern"),
        pytest.param("skep:1", "docker.io/library/skep", True, id="short spelling, canonical pattern"),
        pytest.param("skep:1", "skep:1", True, id="the very tag"),
        pytest.param("skep:2", "skep:1", False, id="another tag"),
        pytest.param("skep:1.2", "skep:1.*", True, id="tags by pattern"),
        pytest.param("skepper:1", "skep", False, id="a longer name"),
        pytest.param("evil.example/skep:1", "skep", False, id="another registry"),
        pytest.param("r.example/team/app:1", "r.example/team/*", True, id="a folder"),
        pytest.param("r.example/team/sub/app:1", "r.example/team/*", False, id="a star stays in its part"),
        pytest.param("r.example/team/sub/app:1", "r.example/team/**", True, id="two stars cross parts"),
        pytest.param("r.example:5000/app", "r.example:*", False, id="a tag's star does not open a port"),
        pytest.param("rxexample/app", "r.example/app", False, id="a dot is a dot"),
        pytest.param("not an image", "**", False, id="no image at all"),
    ],
)
def test_patterns_allow_what_they_say(image: str, pattern: str, allowed: bool) -> None:
    assert is_allowed(image, (pattern,)) is allowed
