//! Why a request was refused, and how to say so.
//!
//! **Not**: the response's bytes; see [`crate::problem`].
//! **Invariants**: after any of these the connection is closed, since what follows on it cannot be trusted to be a
//! request; every variant has one status and one slug.
//! **Source**: RFC 9110 section 15.5 and 15.6; RFC 9112 section 2.2, 3, 6; RFC 6585 section 5.

use crate::MessageLimits;
use crate::Status;
use crate::h1::FramingError;
use crate::h1::line::FieldError;
use crate::problem::{Limit, Problem};
use thiserror::Error;

/// Why a request head was refused. The peer's fault, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.detail())]
pub enum RequestError {
    /// The first byte begins a TLS record.
    Tls,
    /// The HTTP/2 connection preface.
    Http2,
    /// More empty lines before the request line than are skipped.
    EmptyLines,
    /// The method is not a token followed by one space.
    Method,
    /// The target holds a byte no URI may hold, or is empty, or two spaces stand around it.
    Target,
    /// The target's form does not fit the method.
    TargetForm,
    /// The target is longer than the bound.
    TargetTooLong,
    /// No `HTTP/d.d` and line end after the target.
    VersionSyntax,
    /// A version other than 1.0 and 1.1.
    Version,
    /// A field line was malformed.
    Field(#[from] FieldError),
    /// The head is larger than the bound.
    HeadTooLarge,
    /// More field lines than the bound.
    TooManyFields,
    /// No `Host` in HTTP/1.1.
    HostMissing,
    /// `Host` is not a host and optional port.
    Host,
    /// The target's authority and `Host` name different origins.
    HostMismatch,
    /// A field that may stand once stands twice.
    Repeated,
    /// The length of the message, or the use of the connection after it, is ambiguous.
    Framing(#[from] FramingError),
    /// `Expect` is something other than `100-continue`.
    Expectation,
    /// The announced body is larger than the bound.
    BodyTooLarge,
}

impl RequestError {
    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Http2 => Status::UpgradeRequired,
            Self::TargetTooLong => Status::UriTooLong,
            Self::Version => Status::VersionNotSupported,
            Self::HeadTooLarge | Self::TooManyFields => Status::HeadTooLarge,
            Self::Framing(FramingError::TransferCoding) => Status::NotImplemented,
            Self::Expectation => Status::ExpectationFailed,
            Self::BodyTooLarge => Status::ContentTooLarge,
            _ => Status::BadRequest,
        }
    }

    /// A short name that never changes: the last part of the problem's type.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Tls => "tls-on-plain-port",
            Self::Http2 => "http2-preface",
            Self::EmptyLines => "empty-lines",
            Self::Method => "method",
            Self::Target => "target",
            Self::TargetForm => "target-form",
            Self::TargetTooLong => "target-too-long",
            Self::VersionSyntax => "version-syntax",
            Self::Version => "version",
            Self::Field(FieldError::BareCr) => "bare-cr",
            Self::Field(FieldError::BareLf) => "bare-lf",
            Self::Field(FieldError::Folded) => "folded-field",
            Self::Field(FieldError::SpaceBeforeColon) => "space-before-colon",
            Self::Field(FieldError::Name) => "field-name",
            Self::Field(FieldError::Value) => "field-value",
            Self::HeadTooLarge => "head-too-large",
            Self::TooManyFields => "too-many-fields",
            Self::HostMissing => "host-missing",
            Self::Host => "host",
            Self::HostMismatch => "host-mismatch",
            Self::Repeated => "repeated-field",
            Self::Framing(error) => error.slug(),
            Self::Expectation => "expectation",
            Self::BodyTooLarge => "body-too-large",
        }
    }

    /// The sentence for the response's `detail`.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::Tls => "this port does not speak TLS",
            Self::Http2 => "this port does not speak HTTP/2; use HTTP/1.1",
            Self::EmptyLines => "there are too many empty lines before the request line",
            Self::Method => "the request line does not begin with a method and one space",
            Self::Target => "the request target is empty or holds a byte that is not allowed in it",
            Self::TargetForm => "the form of the request target does not fit the method",
            Self::TargetTooLong => "the request target is too long",
            Self::VersionSyntax => "the request line does not end with an HTTP version",
            Self::Version => "the HTTP version is not 1.0 or 1.1",
            Self::Field(error) => error.detail(),
            Self::HeadTooLarge => "the request head is too large",
            Self::TooManyFields => "there are too many fields",
            Self::HostMissing => "the Host field is missing",
            Self::Host => "the Host field is not a host with an optional port",
            Self::HostMismatch => "the Host field and the authority of the request target differ",
            Self::Repeated => "a field that may appear once appears more than once",
            Self::Framing(error) => error.detail(),
            Self::Expectation => "an expectation other than 100-continue cannot be met",
            Self::BodyTooLarge => "the request body is too large",
        }
    }

    /// The bound that was exceeded, if one was.
    #[must_use]
    pub fn limit(self, limits: &MessageLimits) -> Option<Limit> {
        match self {
            Self::TargetTooLong => Some(Limit::bytes(limits.target_bytes_max.into())),
            Self::HeadTooLarge => Some(Limit::bytes(limits.head_bytes_max.into())),
            Self::TooManyFields => Some(Limit { max: limits.field_count_max.into(), unit: "fields", key: None }),
            Self::BodyTooLarge => Some(Limit::bytes(limits.body_bytes_max)),
            _ => None,
        }
    }

    /// The problem to answer with, for a head that was read within these limits; the connection closes after it.
    #[must_use]
    pub fn problem(self, limits: &MessageLimits) -> Problem<'static> {
        Problem { status: self.status(), slug: self.slug(), detail: self.detail(), limit: self.limit(limits) }
    }
}
