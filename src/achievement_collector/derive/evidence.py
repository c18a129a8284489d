"""Where each statement can be checked: references, web addresses and the commands that show the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from achievement_collector.derive.conclusions import Evidence


def commit_url(web_url: str | None, sha: str) -> str:
    """The page of a commit; empty where the forge is not known."""
    if not web_url:
        return ""
    if "bitbucket" in web_url:
        return f"{web_url}/commits/{sha}"
    return f"{web_url}/{'-/' if 'gitlab' in web_url else ''}commit/{sha}"


def pull_request_url(web_url: str | None, number: int) -> str:
    if not web_url:
        return ""
    if "gitlab" in web_url:
        return f"{web_url}/-/merge_requests/{number}"
    if "bitbucket" in web_url:
        return f"{web_url}/pull-requests/{number}"
    if "codeberg" in web_url or "gitea" in web_url or "forgejo" in web_url:
        return f"{web_url}/pulls/{number}"
    return f"{web_url}/pull/{number}"


def tag_url(web_url: str | None, tag: str) -> str:
    if not web_url:
        return ""
    name = quote(tag, safe="/@+")
    if "gitlab" in web_url:
        return f"{web_url}/-/tags/{name}"
    if "bitbucket" in web_url:
        return f"{web_url}/src/{name}"
    if "github" in web_url:
        return f"{web_url}/releases/tag/{name}"
    return f"{web_url}/src/tag/{name}"


def issue_url(web_url: str | None, reference: str) -> str:
    """The page of an issue named ``#12`` or ``owner/name#12``; empty for keys of other trackers."""
    owner_and_name, hash_mark, number = reference.partition("#")
    if not web_url or not hash_mark or not number.isdecimal():
        return ""
    if owner_and_name:
        host = "/".join(web_url.split("/", 3)[:3])
        web_url = f"{host}/{owner_and_name}"
    return f"{web_url}/{'-/' if 'gitlab' in web_url else ''}issues/{number}"


def change_evidence(
    web_url: str | None,
    *,
    anchor: str,
    commits: Sequence[str],
    number: int | None,
    released_in: str,
    issues: Sequence[str],
    reviewers: Sequence[str],
    pull: Mapping[str, Any] | None = None,
    measures: Sequence[Mapping[str, Any]] = (),
    epic: str = "",
    most_commits: int = 20,
) -> tuple[Evidence, ...]:
    """The facts behind a change, the most telling first. ``pull`` and ``measures`` are what the forge and CI told, as a
    row's detail holds them."""
    found: list[Evidence] = []
    if number is not None:
        url = (pull or {}).get("url") or pull_request_url(web_url, number)
        told_by = "github" if pull else "git"
        found.append(Evidence("pull request", f"#{number}", "merged pull request", url=url, source=told_by))
    found += [Evidence("measure", one["kind"], one["text"], source="ci") for one in measures]
    if pull:
        found += _pull_evidence(pull)
    if epic:
        found.append(Evidence("epic", epic, "the epic it belongs to", source="linear or github"))
    if anchor and anchor not in commits:
        found.append(Evidence("commit", anchor, "the merge", url=commit_url(web_url, anchor)))
    shown = list(commits)[-most_commits:]
    found += [
        Evidence("commit", sha, "a commit of it", url=commit_url(web_url, sha)) for sha in reversed(shown)
    ]
    if len(commits) > len(shown):
        more = len(commits) - len(shown)
        found.append(Evidence("commits", "", "further commits of it", str(more), "commits"))
    if released_in:
        found.append(
            Evidence("tag", released_in, "first release that contains it", url=tag_url(web_url, released_in))
        )
    found += [
        Evidence("issue", name, "named in the message", url=issue_url(web_url, name)) for name in issues
    ]
    found += [Evidence("trailer", name, "says the message") for name in reviewers]
    return tuple(found)


def _pull_evidence(pull: Mapping[str, Any]) -> list[Evidence]:
    found = []
    if pull["reviews"]:
        label = f"reviews by {', '.join(pull['reviewers'])}, {pull['approvals']} of them approving"
        found.append(Evidence("reviews", "", label, str(pull["reviews"]), "reviews", source="github"))
    if pull.get("reviewing_bots"):
        names = ", ".join(pull["reviewing_bots"])
        found.append(Evidence("automatic reviews", "", f"by programs: {names}", source="github"))
    if pull["lead_time"] is not None:
        hours = pull["lead_time"] / 3600
        told = (f"{hours:.1f}", "hours") if hours < 48 else (f"{hours / 24:.1f}", "days")
        found.append(Evidence("lead time", "", "from opened to merged:", *told, source="github"))
    if pull["labels"]:
        found.append(Evidence("labels", "", ", ".join(pull["labels"]), source="github"))
    if pull.get("merge_sha"):
        found.append(Evidence("merge", pull["merge_sha"][:12], "the commit it became", source="github"))
    return found


def issue_evidence(issue: Mapping[str, Any]) -> tuple[Evidence, ...]:
    """The facts behind a completed issue of Linear."""
    return (Evidence("issue", issue["identifier"], "completed in Linear", url=issue["url"], source="linear"),)


def release_evidence(
    web_url: str | None, *, tag: str, target: str, previous: str, changes: int
) -> tuple[Evidence, ...]:
    found = [
        Evidence("tag", tag, "the tag", url=tag_url(web_url, tag)),
        Evidence("commit", target, "the commit it names", url=commit_url(web_url, target)),
    ]
    if previous:
        compare = ""
        if web_url and "github" in web_url:
            compare = f"{web_url}/compare/{quote(previous, safe='@+')}...{quote(tag, safe='@+')}"
        found.append(Evidence("range", f"{previous}..{tag}", "what it adds to the one before", url=compare))
    found.append(Evidence("count", tag, "counted changes first released in it", str(changes), "changes"))
    return tuple(found)


def verifying_commands(path: str, evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Shell commands, quoted, that show the evidence in the repository at ``path``."""
    import shlex

    place = shlex.quote(path)
    commands: list[str] = []
    for item in evidence:
        if item.kind == "commit":
            commands.append(f"git -C {place} show --stat {item.reference}")
        elif item.kind == "tag":
            commands.append(f"git -C {place} show --no-patch {shlex.quote('refs/tags/' + item.reference)}")
        elif item.kind == "range":
            commands.append(f"git -C {place} log --oneline {shlex.quote(item.reference)}")
    return tuple(dict.fromkeys(commands))
