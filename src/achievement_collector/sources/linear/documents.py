"""The GraphQL documents that are sent to Linear, as they are validated against its schema in the tests.

Lists are read newest first (``orderBy: updatedAt`` gives the most recently updated resources first), archived things
included: finished issues are archived after a while, and things in the trash are seen only so.

Page sizes are written out, because they make the price. Linear refuses a query of more than 10,000 points: a property
costs 0.1, an object 1, a connection what one of its nodes costs times ``first``. What does not fit into the first page of a
list inside of a thing is asked for on its own (``ISSUE_LABELS`` and the like).
"""

from __future__ import annotations

VIEWER = """
query Viewer {
  viewer { id name email organization { id name urlKey } }
}
"""
"""Whose key it is: one object, to try a key with."""

TEAMS = """
query Teams($after: String, $since: DateTimeOrDuration!) {
  teams(first: 100, after: $after, filter: {updatedAt: {gt: $since}}, orderBy: updatedAt, includeArchived: true) {
    pageInfo { hasNextPage endCursor }
    nodes { id key name issueEstimationType updatedAt }
  }
}
"""

INITIATIVES = """
query Initiatives($after: String, $since: DateTimeOrDuration!) {
  initiatives(first: 100, after: $after, filter: {updatedAt: {gt: $since}}, orderBy: updatedAt, includeArchived: true) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id name description status url slugId targetDate trashed
      createdAt updatedAt startedAt completedAt
      owner { name }
    }
  }
}
"""

PROJECTS = """
query Projects($after: String, $since: DateTimeOrDuration!) {
  projects(first: 50, after: $after, filter: {updatedAt: {gt: $since}}, orderBy: updatedAt, includeArchived: true) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id name description content url slugId startDate targetDate trashed
      createdAt updatedAt startedAt completedAt canceledAt
      status { type name }
      lead { name email }
      projectMilestones(first: 25) { pageInfo { hasNextPage endCursor } nodes { id name targetDate } }
      initiatives(first: 10) { pageInfo { hasNextPage endCursor } nodes { id } }
    }
  }
}
"""

ISSUES = """
query Issues($after: String, $since: DateTimeOrDuration!) {
  issues(
    first: 100, after: $after, orderBy: updatedAt, includeArchived: true,
    filter: {or: [{updatedAt: {gt: $since}}, {archivedAt: {gt: $since}}]}
  ) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id identifier number title description url branchName priority estimate trashed
      createdAt updatedAt startedAt completedAt canceledAt
      state { type name }
      team { id key name }
      assignee { name email }
      creator { name }
      project { id }
      projectMilestone { id }
      parent { id }
      labels(first: 20) { pageInfo { hasNextPage endCursor } nodes { name } }
    }
  }
}
"""
"""What is put into the trash is archived without being said to be updated (as a recorded body shows), hence the two times.
A team's way of estimating is not asked for here: it is the team's (``TEAMS``), and a copy would stay as it was when the
team changes its mind."""

ATTACHMENTS = """
query Attachments($after: String, $since: DateTimeOrDuration!) {
  attachments(first: 100, after: $after, filter: {updatedAt: {gt: $since}}, orderBy: updatedAt, includeArchived: true) {
    pageInfo { hasNextPage endCursor }
    nodes { id url title sourceType createdAt updatedAt issue { id } }
  }
}
"""
"""Attachments of all issues, as a list of its own: an issue may have any number, and is not said to be updated when it gets
one."""

ISSUE_LABELS = """
query IssueLabels($id: String!, $after: String) {
  issue(id: $id) {
    labels(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { name } }
  }
}
"""

PROJECT_MILESTONES = """
query ProjectMilestones($id: String!, $after: String) {
  project(id: $id) {
    projectMilestones(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { id name targetDate } }
  }
}
"""

PROJECT_INITIATIVES = """
query ProjectInitiatives($id: String!, $after: String) {
  project(id: $id) {
    initiatives(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { id } }
  }
}
"""

ATTACHMENTS_FOR_URL = """
query AttachmentsForURL($url: String!, $after: String) {
  attachmentsForURL(url: $url, first: 50, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { id url issue { id identifier } }
  }
}
"""

LINK_URL = """
mutation LinkURL($issueId: String!, $url: String!, $title: String) {
  attachmentLinkURL(issueId: $issueId, url: $url, title: $title) {
    success
    attachment { id url }
  }
}
"""
"""Makes the rich attachment of a pull request where the workspace has Linear's GitHub integration, a plain one where it has
not; ``attachmentLinkGitHubPR`` knows only the first."""

CREATE_WEBHOOK = """
mutation CreateWebhook($input: WebhookCreateInput!) {
  webhookCreate(input: $input) {
    success
    webhook { id url enabled resourceTypes }
  }
}
"""
"""For admins, and OAuth applications with the scope ``admin``. An ``id`` chosen by us makes asking twice harmless."""

PAGE = {
    "teams": TEAMS,
    "initiatives": INITIATIVES,
    "projects": PROJECTS,
    "issues": ISSUES,
    "attachments": ATTACHMENTS,
}
"""The lists that a synchronisation reads, in that order: field of the answer -> document."""

REST = {
    ("issues", "labels"): ("issue", ISSUE_LABELS),
    ("projects", "projectMilestones"): ("project", PROJECT_MILESTONES),
    ("projects", "initiatives"): ("project", PROJECT_INITIATIVES),
}
"""(list, connection inside of its things) -> (field of the answer, document) for what is beyond its first page."""

ALL = (
    VIEWER,
    *PAGE.values(),
    *(document for _, document in REST.values()),
    ATTACHMENTS_FOR_URL,
    LINK_URL,
    CREATE_WEBHOOK,
)
