"""The health of CI: how often it passes, how soon red becomes green again, how long it takes, what of it is flaky.

Everything is told of recorded attempts (:mod:`achievement_collector.facts.ci_runs`), in any order and any number of times; a
measure without enough of them has no value and says what is missing. Health is not progress: a repository may be green with
nothing built. No measure is of a person.

Moments are milliseconds since 1970 (UTC), times are seconds, rates are exact fractions from 0 to 1.
"""
