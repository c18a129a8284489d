"""What a path is (clone, worktree, mirror, shallow clone) and where its refs point."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from achievement_collector.errors import RepositoryError
from achievement_collector.facts import Repository, Tag
from achievement_collector.sources.git.objects import parse_tag
from achievement_collector.sources.git.process import run_git

_USUAL_DEFAULTS = ("main", "master", "trunk", "develop", "default")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A place on disk from which a repository is read. ``git_dir`` is shared by all its worktrees."""

    path: Path
    git_dir: Path
    is_bare: bool
    repository: Repository


@dataclass(frozen=True, slots=True)
class Refs:
    """Where the refs of a checkout point. ``head`` is None in an empty repository; ``branches`` holds local
    branches by name and remote-tracking ones as ``origin/name``; ``annotated`` maps tags to tag objects.
    ``digest`` changes when anything changes that a scan would see; its part before the hyphen (``shape``)
    when the parents of commits already seen may have changed."""

    head: str | None
    head_branch: str | None
    default_branch: str | None
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    annotated: dict[str, str] = field(default_factory=dict)
    shallow: frozenset[str] = frozenset()
    digest: str = ""

    @property
    def shape(self) -> str:
        return self.digest.partition("-")[0]

    @property
    def tips(self) -> list[str]:
        """The commits from which everything is reachable, each once, HEAD first."""
        head = [self.head] if self.head else []
        return list(dict.fromkeys([*head, *self.branches.values(), *self.tags.values()]))

    @property
    def mainline(self) -> list[str]:
        """The tips of the line of work that counts: the default branch here and at the remote, and HEAD where
        it is detached or no default branch is known."""
        names = [name for name in self.branches if self.default_branch == name.removeprefix("origin/")]
        tips = [self.branches[name] for name in sorted(names, key=len)]
        if self.head and (self.head_branch is None or not tips):
            tips.append(self.head)
        return list(dict.fromkeys(tips))


def open_checkout(path: Path) -> Checkout:
    """The checkout that ``path`` is or lies in. Raises :class:`RepositoryError` where there is none.

    A clone of a folder of this machine is of the repository that the folder is of, as long as it is there."""
    return _open(path, frozenset())


def _open(path: Path, came_from: frozenset[Path]) -> Checkout:
    """``came_from``: the git folders whose remotes led here."""
    try:
        resolved = path.expanduser().resolve()
        exists, is_folder = resolved.exists(), resolved.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise RepositoryError(f"{str(path)!r} cannot be opened: {error}") from None
    if not exists:
        raise RepositoryError(f"{path} does not exist")
    if not is_folder:
        raise RepositoryError(f"{path} is a file; name the folder of a git repository")
    answers = run_git(
        resolved, "rev-parse", "--path-format=absolute", "--git-common-dir", "--is-bare-repository",
        "--is-shallow-repository", "--show-object-format",
    ).decode("utf-8", "surrogateescape").split("\n")  # fmt: skip
    # a path may hold newlines, the three other answers cannot
    git_dir, bare, shallow, object_format = "\n".join(answers[:-4]), *answers[-4:-1]
    is_bare = bare == "true"
    url = _remote_url(resolved)
    folder = Path(git_dir).parent if Path(git_dir).name == ".git" else Path(git_dir)
    name = folder.name.removesuffix(".git") or "repository"
    key, web_url = repository_key(url) if url else (None, None)
    repository = Repository(
        key=key or f"local/{name}",
        path=str(resolved),
        name=(key or name).rsplit("/", 1)[-1],
        web_url=web_url,
        object_format=object_format,
        is_shallow=shallow == "true",
    )
    if key is None and Path(git_dir) not in came_from:
        source = _folder_of(url, folder if folder != Path(git_dir) else resolved)
        try:
            original = _open(source, came_from | {Path(git_dir)}).repository if source else repository
        except RepositoryError:
            original = repository
        repository = replace(repository, key=original.key, name=original.name, web_url=original.web_url)
    return Checkout(resolved, Path(git_dir), is_bare, repository)


def _folder_of(url: str, folder: Path) -> Path | None:
    """The folder that a remote without a host names, seen from ``folder``; None where it names none."""
    if url.startswith("file://"):
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        url = unquote(parts.path) if parts.netloc in ("", "localhost") else ""
    try:
        source = (folder / url).resolve() if url else None
        return source if source is not None and source.is_dir() else None
    except (OSError, RuntimeError, ValueError):
        return None


def read_refs(checkout: Checkout) -> Refs:
    """All branches, tags and HEAD. Refs of other kinds (pull requests, notes, stashes) are not followed."""
    listing = run_git(
        checkout.path,
        "for-each-ref",
        "--format=%(objectname) %(objecttype) %(*objectname) %(*objecttype) %(symref) %(refname)",
        "refs/heads", "refs/remotes", "refs/tags", "refs/replace",
    )  # fmt: skip
    branches: dict[str, str] = {}
    tags: dict[str, str] = {}
    annotated: dict[str, str] = {}
    remote_default: str | None = None
    for line in listing.decode("utf-8", "surrogateescape").splitlines():
        name, kind, peeled, peeled_kind, symref, ref = line.split(" ", 5)
        if ref.startswith("refs/tags/"):
            if kind == "tag":
                annotated[ref[10:]] = name
            commit = peeled if peeled_kind == "commit" else name if kind == "commit" else ""
            if peeled_kind == "tag":
                commit = _peel(checkout, ref)
            if commit:
                tags[ref[10:]] = commit
        elif ref.startswith("refs/remotes/"):
            if symref:
                if ref == "refs/remotes/origin/HEAD" or remote_default is None:
                    remote_default = symref.removeprefix("refs/remotes/").partition("/")[2]
            elif kind == "commit":
                branches[ref[13:]] = name
        elif ref.startswith("refs/heads/") and kind == "commit":
            branches[ref[11:]] = name
    head_text = run_git(
        checkout.path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", accept=(0, 1, 128)
    )
    head = head_text.decode().strip() or None
    branch_text = run_git(checkout.path, "symbolic-ref", "--quiet", "--short", "HEAD", accept=(0, 1))
    head_branch = branch_text.decode("utf-8", "surrogateescape").strip() or None
    shallow = _lines_of(checkout.git_dir / "shallow")
    grafts = b"\n".join(_lines_of(checkout.git_dir / "info" / "grafts"))
    replaced = b"\n".join(line for line in listing.splitlines() if b" refs/replace/" in line)
    shape = b"\0".join([b"\n".join(sorted(shallow)), grafts, replaced])
    state = b"\0".join([listing, head_text, branch_text])
    return Refs(
        head=head,
        head_branch=head_branch,
        default_branch=_default_branch(checkout, remote_default, branches, head_branch),
        branches=branches,
        tags=tags,
        annotated=annotated,
        shallow=frozenset(line.decode("ascii", "replace").strip() for line in shallow),
        digest=f"{_digest(shape)}-{_digest(state)}",
    )


def read_tags(checkout: Checkout, refs: Refs) -> list[Tag]:
    """The tags that lead to a commit, with tagger, date and message where they are annotated."""
    names = [name for name in refs.annotated if name in refs.tags]
    objects = read_objects(checkout, [refs.annotated[name] for name in names])
    tags = [Tag(name, commit) for name, commit in refs.tags.items() if name not in refs.annotated]
    for name in names:
        tag = parse_tag(objects.get(refs.annotated[name], b""))
        tags.append(Tag(name, refs.tags[name], True, tag.tagger, tag.tagged, tag.message))
    return sorted(tags, key=lambda tag: tag.name)


def read_objects(checkout: Checkout, names: list[str]) -> dict[str, bytes]:
    """Object name -> content, for objects small enough to hold all at once; missing ones are left out."""
    if not names:
        return {}
    output = run_git(
        checkout.path, "cat-file", "--batch", stdin="\n".join(names).encode("utf-8", "surrogateescape")
    )
    contents: dict[str, bytes] = {}
    position = 0
    for name in names:
        end = output.index(b"\n", position)
        header = output[position:end].split(b" ")
        position = end + 1
        if header[-1] == b"missing" or header[-1] == b"ambiguous":
            continue
        size = int(header[-1])
        contents[name] = output[position : position + size]
        position += size + 1
    return contents


def root_file(checkout: Checkout, refs: Refs, name: str) -> str:
    """The text of a file in the root folder at the tip of the main line; empty where there is none."""
    for tip in refs.mainline:
        spec = f"{tip}:{name}"
        content = read_objects(checkout, [spec]).get(spec)
        if content is not None:
            return content.decode("utf-8", "replace").replace("\0", "")
    return ""


_SCP_FORM = re.compile(r"^(?:[^@/\s]+@)?([^:/\s\[\]]+|\[[^\]]+\]):(?!//)(.+)$")
_FORGES = re.compile(
    r"(?:^|[.])(?:github|gitlab|bitbucket|codeberg|gitea|forgejo|sr\.ht|sourcehut)\b|^github\.|^gitlab\."
)


def repository_key(url: str) -> tuple[str | None, str | None]:
    """``host/owner/name`` and the web address of a remote's URL, without any credentials.

    Both are None for a remote on this machine; the web address is None for hosts that are no known forge.
    """
    if "://" in url:
        try:
            parts = urlsplit(url)
            host, path = parts.hostname or "", unquote(parts.path)
        except ValueError:
            return None, None
        if parts.scheme == "file" or not host:
            return None, None
    else:
        match = _SCP_FORM.match(url)
        if not match or re.match(r"^[A-Za-z]:[\\/]", url):
            return None, None
        host, path = match[1].lower(), match[2]
    path = path.strip("/").removesuffix(".git").strip("/")
    if not path or any(ord(character) < 32 for character in path):
        return None, None
    key = f"{host.lower()}/{path}"
    return key, f"https://{key}" if _FORGES.search(host.lower()) else None


def _remote_url(path: Path) -> str:
    listing = run_git(path, "config", "--null", "--get-regexp", r"^remote\..*\.url$", accept=(0, 1))
    urls: dict[str, str] = {}
    for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
        name, _, url = entry.partition("\n")
        urls.setdefault(name, url)
    return urls.get("remote.origin.url") or urls.get("remote.upstream.url") or next(iter(urls.values()), "")


def _default_branch(
    checkout: Checkout, remote_default: str | None, branches: dict[str, str], head_branch: str | None
) -> str | None:
    if remote_default and (remote_default in branches or f"origin/{remote_default}" in branches):
        return remote_default
    if checkout.is_bare and head_branch in branches:
        return head_branch
    for name in _USUAL_DEFAULTS:
        if name in branches or f"origin/{name}" in branches:
            return name
    if head_branch in branches:
        return head_branch
    local = [name for name in branches if "/" not in name]
    return local[0] if len(local) == 1 else None


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _peel(checkout: Checkout, ref: str) -> str:
    """The commit behind a tag of a tag; empty where the chain ends in something else."""
    answer = run_git(
        checkout.path, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", accept=(0, 1, 128)
    )
    return answer.decode().strip()


def _lines_of(path: Path) -> list[bytes]:
    try:
        return [line for line in path.read_bytes().splitlines() if line]
    except OSError:
        return []
