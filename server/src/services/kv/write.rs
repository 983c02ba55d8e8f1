//! What a PUT or DELETE asks for, from its head alone: everything that can be refused before the body is read.
//!
//! **Source**: RFC 9110 section 9.3.4 (PUT), 14.5 (partial PUT), 13.1; RFC 9111 section 5.2.

use corelane_http::Status;
use corelane_http::cache_control::CacheControl;
use corelane_http::conditional::{Precondition, Preconditions, WriteCondition};
use corelane_http::entity_tag::TagRoom;
use corelane_http::problem::{Limit, Problem};
use corelane_http::request::{RequestBody, RequestHead};
use shardstore::version::{Condition, Version};

use super::version_tag::{tag_of, version_of};
use crate::snapshot::keyspaces::Policy;

/// On what a write depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depends {
    /// On something the store checks in one step with the write.
    Store(Condition),
    /// On more than that: read first, then [`weigh`].
    Read,
}

/// How long a value is to live, and whether copies of it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// Milliseconds; 0 for ever.
    pub(crate) ttl_ms: u64,
    /// No copy of it may be left anywhere but at the key's owner.
    pub(crate) no_store: bool,
}

/// What a PUT asks for, or its keyspace's default.
pub(crate) fn lifetime(head: &RequestHead<'_>, policy: Policy) -> Result<Lifetime, Problem<'static>> {
    let asked = CacheControl::parse(head.cache_control()).map_err(|error| bad(cache_control_detail(error)))?;
    let ttl_ms = match asked.max_age_s {
        // Already over when it arrives: nothing could ever read it, which is most likely a mistake.
        Some(0) => {
            return Err(bad(
                "max-age=0 would store a value that has already expired; omit it to use the time to live of the keyspace",
            ));
        }
        Some(seconds) => u64::from(seconds) * 1000,
        None => policy.ttl_ms,
    };
    Ok(Lifetime { ttl_ms, no_store: asked.no_store })
}

fn cache_control_detail(error: corelane_http::cache_control::CacheControlError) -> &'static str {
    use corelane_http::cache_control::CacheControlError;
    match error {
        CacheControlError::Syntax => "Cache-Control is not a list of directives",
        CacheControlError::MaxAge => "the max-age of Cache-Control is not a number of seconds",
        CacheControlError::MaxAgeDiffers => "Cache-Control has two max-age that differ",
    }
}

fn bad(detail: &'static str) -> Problem<'static> {
    Problem { limit: None, status: Status::BadRequest, slug: "bad-request", detail }
}

/// Refuses a body that cannot be stored, before any of it is read.
pub(crate) fn check_body(head: &RequestHead<'_>, policy: Policy) -> Result<(), Problem<'static>> {
    if head.content_range().is_some() {
        return Err(bad("a PUT with Content-Range would store a part as the whole; send the whole value"));
    }
    match head.body() {
        RequestBody::Length(bytes) if bytes > policy.value_bytes_max as u64 => Err(too_large(policy)),
        _ => Ok(()),
    }
}

/// A value is larger than its keyspace takes.
pub(crate) fn too_large(policy: Policy) -> Problem<'static> {
    Problem {
        status: Status::ContentTooLarge,
        slug: "value-too-large",
        detail: "the value is larger than this keyspace allows",
        limit: Some(Limit::bytes(policy.value_bytes_max as u64).set_by(policy.value_bytes_key)),
    }
}

/// On what the write depends.
pub(crate) fn depends(head: &RequestHead<'_>) -> Result<Depends, Problem<'static>> {
    let condition = Preconditions::of(head).for_write().map_err(|_| BAD_TAGS)?;
    Ok(match condition {
        WriteCondition::Always => Depends::Store(Condition::Any),
        WriteCondition::Absent => Depends::Store(Condition::Absent),
        WriteCondition::Present => Depends::Store(Condition::Present),
        // A tag that is not one of ours may still be refused, or the value be absent: read first.
        WriteCondition::Matches(tag) => version_of(tag)
            .map_or(Depends::Read, |version| Depends::Store(Condition::VersionEquals(Version::from_bits(version)))),
        WriteCondition::Evaluate => Depends::Read,
    })
}

/// A list of entity tags is malformed.
pub(crate) const BAD_TAGS: Problem<'static> = Problem {
    limit: None,
    status: Status::BadRequest,
    slug: "bad-entity-tags",
    detail: "If-Match or If-None-Match is not a list of entity tags",
};

/// Weighs the conditions against the version that was read: the condition under which to write, `None` for 412.
pub(crate) fn weigh(head: &RequestHead<'_>, current: Option<u64>) -> Result<Option<Condition>, Problem<'static>> {
    let mut room = TagRoom::new();
    let tag = current.map(|version| tag_of(version, &mut room));
    let verdict = Preconditions::of(head).evaluate(tag).map_err(|_| BAD_TAGS)?;
    let unchanged = current.map_or(Condition::Absent, |version| Condition::VersionEquals(Version::from_bits(version)));
    Ok((verdict == Precondition::Proceed).then_some(unchanged))
}

#[cfg(test)]
mod tests {
    use corelane_http::cache_control::CacheControlError;

    use super::cache_control_detail;

    #[test]
    fn clients_are_told_what_is_wrong_with_cache_control() {
        for error in [CacheControlError::Syntax, CacheControlError::MaxAge, CacheControlError::MaxAgeDiffers] {
            assert_eq!(cache_control_detail(error), error.to_string());
        }
    }
}
