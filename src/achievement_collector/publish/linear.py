"""Writing to Linear: tying a pull request to the issue that it does."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from achievement_collector.sources.linear import documents
from achievement_collector.sources.linear.client import LinearClient, LinearError


def link_pull_request(client: LinearClient, issue_id: str, url: str, title: str) -> bool:
    """Attaches the pull request at ``url`` to an issue; True where it was not attached before.

    ``issue_id`` is Linear's UUID, an identifier (ENG-123) or the ledger's key (``linear/<uuid>``). Linear is asked first what
    the address is attached to, so calling it again, also after a failure, makes no second attachment. Raises
    :class:`LinearError` or :class:`BudgetExhausted`.
    """
    issue = issue_id.removeprefix("linear/")
    address = _canonical(url)
    if _is_attached(client, issue, address):
        return False
    data = client.execute(documents.LINK_URL, {"issueId": issue, "url": address, "title": title})
    if data.inner("attachmentLinkURL").truth("success") is not True:
        raise LinearError(f"Linear did not attach {address} to {issue}; see whether the issue still exists")
    return True


def _is_attached(client: LinearClient, issue: str, address: str) -> bool:
    after: str | None = None
    while True:
        data = client.execute(documents.ATTACHMENTS_FOR_URL, {"url": address, "after": after})
        page = data.inner("attachmentsForURL")
        for one in page.each("nodes"):
            tied = one.inner("issue")
            if issue.lower() in (tied.text("id").lower(), tied.text("identifier").lower()):
                return True
        info = page.inner("pageInfo")
        following = info.text("endCursor") if info.truth("hasNextPage") else ""
        if following in ("", after):
            return False
        after = following


def _canonical(url: str) -> str:
    """The address without what a browser adds: Linear knows attachments by their exact address."""
    parts = urlsplit(url.strip())
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
