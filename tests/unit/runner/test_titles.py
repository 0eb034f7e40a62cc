"""What steps are called: templates of meta.json and the step's options."""

from typing import Any

import pytest

from runner import titles
from runner.manifest import v1
from runner.programs import ProgramCatalog
from runner.resolve import resolve

PACKAGES = [f"package-{number}" for number in range(22)]


@pytest.mark.parametrize(
    ("template", "options", "title"),
    [
        ("set the host name to {hostname}", {"hostname": "web"}, "set the host name to web"),
        ("install ({packages})", {"packages": ["nginx"]}, "install (nginx)"),
        ("install ({packages})", {"packages": ["nginx", "ssh"]}, "install (nginx, ssh)"),
        ("install ({packages})", {"packages": PACKAGES}, "install (package-0, package-1, package-2, 19 more)"),
        ("users ({users})", {"users": {"admin": {}, "guest": {}}}, "users (admin, guest)"),
        ("make {outputs.format}", {"outputs": [{"format": "qcow2"}, {"format": "raw"}]}, "make qcow2, raw"),
        ("create {files.path, links.path}", {"files": [{"path": "/a"}], "links": [{"path": "/b"}]}, "create /a, /b"),
        ("create {files.path, links.path}", {"links": [{"path": "/b"}]}, "create /b"),
        ("listen on {port}", {"port": 0}, "listen on 0"),
        # Without a value for each option the title is another one.
        ("install ({packages})", {"packages": []}, "otherwise"),
        ("install ({packages})", {}, "otherwise"),
        ("install ({packages})", {"packages": [None, True, " "]}, "otherwise"),
        ("install {packages.name}", {"packages": "nginx"}, "otherwise"),
        ("{name} of {value}", {"name": "a"}, "otherwise"),
        # Options may be any text.
        ("say {text}", {"text": "one\ntwo\t{name}"}, "say one two {name}"),
        ("say {text}", {"text": "x" * 1000}, f"say {'x' * 47}…"),
    ],
)
def test_a_template(template: str, options: dict[str, Any], title: str) -> None:
    assert titles.title([template], options, "otherwise") == title


def test_a_title_has_an_end() -> None:
    assert len(titles.title(["{a}" * 9], {"a": "x" * 99}, "")) == titles.MAX_TITLE
    assert len(titles.title([], {}, "x" * 999)) == titles.MAX_TITLE


@pytest.mark.parametrize(
    ("summary", "title"),
    [("Set the host name", "set the host name"), ("SELinux labels.", "SELinux labels"), ("", ""), ("A", "a")],
)
def test_a_summary_is_a_title(summary: str, title: str) -> None:
    assert titles.of_summary(summary) == title


def test_the_built_in_stages() -> None:
    def stage(name: str, **options: Any) -> dict[str, Any]:
        return {"name": name, "options": options}

    stages = [
        stage("org.osbuild-compose.apt", packages=PACKAGES),
        stage("org.osbuild-compose.apt", packages=["nginx"]),
        stage("org.osbuild.users", users={"admin": {}}),
        stage("org.osbuild.selinux", file_contexts="x"),
        stage("org.osbuild.script", script="#!/bin/sh"),
    ]
    assembler = stage("org.osbuild.qemu", format="qcow2", filename="web.qcow2")
    (planned,) = resolve(v1.load({"stages": stages, "assembler": assembler}), ProgramCatalog([]), {}, 0)
    assert [step.title for step in planned.steps] == [
        "install the base (package-0, package-1, package-2, 19 more)",
        "install packages (nginx)",
        "set up users (admin)",
        "label the tree for SELinux",
        "run a script in the tree",
        "make qcow2",
    ]
