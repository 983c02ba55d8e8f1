//! What a peer can do wrong after a handshake, the alert that tells it, and the word for our logs and metrics.
//!
//! **Invariants**: every fault has its alert, but those that the peer itself has told.
//!
//! **Source**: RFC 8446 section 6, RFC 5246 section 7.2.

/// An alert, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsAlert(pub u8);

impl TlsAlert {
    pub(super) const CLOSE_NOTIFY: TlsAlert = TlsAlert(0);
    pub(super) const UNEXPECTED_MESSAGE: TlsAlert = TlsAlert(10);
    pub(super) const BAD_RECORD_MAC: TlsAlert = TlsAlert(20);
    pub(super) const RECORD_OVERFLOW: TlsAlert = TlsAlert(22);
    pub(super) const HANDSHAKE_FAILURE: TlsAlert = TlsAlert(40);
    pub(super) const ILLEGAL_PARAMETER: TlsAlert = TlsAlert(47);
    pub(super) const DECODE_ERROR: TlsAlert = TlsAlert(50);
    pub(super) const PROTOCOL_VERSION: TlsAlert = TlsAlert(70);
    pub(super) const INTERNAL_ERROR: TlsAlert = TlsAlert(80);
    pub(super) const USER_CANCELED: TlsAlert = TlsAlert(90);
    pub(super) const NO_RENEGOTIATION: TlsAlert = TlsAlert(100);

    /// Its name in the standard, behind who told it.
    fn received_word(self) -> &'static &'static str {
        match self.0 {
            10 => &"received_unexpected_message",
            20 => &"received_bad_record_mac",
            21 => &"received_decryption_failed",
            22 => &"received_record_overflow",
            30 => &"received_decompression_failure",
            40 => &"received_handshake_failure",
            42 => &"received_bad_certificate",
            43 => &"received_unsupported_certificate",
            44 => &"received_certificate_revoked",
            45 => &"received_certificate_expired",
            46 => &"received_certificate_unknown",
            47 => &"received_illegal_parameter",
            48 => &"received_unknown_ca",
            49 => &"received_access_denied",
            50 => &"received_decode_error",
            51 => &"received_decrypt_error",
            70 => &"received_protocol_version",
            71 => &"received_insufficient_security",
            80 => &"received_internal_error",
            86 => &"received_inappropriate_fallback",
            109 => &"received_missing_extension",
            110 => &"received_unsupported_extension",
            112 => &"received_unrecognized_name",
            113 => &"received_bad_certificate_status_response",
            115 => &"received_unknown_psk_identity",
            116 => &"received_certificate_required",
            120 => &"received_no_application_protocol",
            _ => &"received_unknown_alert",
        }
    }
}

/// Why a connection ends otherwise than by close_notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The peer's fatal alert.
    #[error("the peer gave up (alert {})", .0.0)]
    Received(TlsAlert),
    /// A type that may not come, outside or inside.
    #[error("a record of a type that may not come")]
    RecordType,
    /// Another version than that of every record.
    #[error("a record of another version")]
    RecordVersion,
    /// Longer than records may be, sealed or opened.
    #[error("a record that is too long")]
    RecordLength,
    /// Changed, or sealed with another key.
    #[error("a record that does not open with the keys of this connection")]
    RecordMac,
    /// Nothing but zeros was sealed.
    #[error("a record without a type")]
    RecordPadding,
    /// Too many records without data in a row.
    #[error("too many empty records")]
    EmptyRecords,
    /// An alert or a handshake record without content.
    #[error("an empty alert or handshake record")]
    EmptyMessage,
    /// An alert that is not of two bytes.
    #[error("an alert of another length")]
    AlertLength,
    /// Neither a warning nor fatal.
    #[error("an alert that is neither a warning nor fatal")]
    AlertLevel,
    /// Too many warnings.
    #[error("too many warnings")]
    Warnings,
    /// A handshake message that may not come now, or not at all to this side.
    #[error("a handshake message that may not come")]
    MessageType,
    /// A handshake message of a length that it cannot have.
    #[error("a handshake message of a wrong length")]
    MessageLength,
    /// Something between the parts of a handshake message, or behind a change of keys in its record.
    #[error("a handshake message that is not whole where it must be")]
    MessageSplit,
    /// A KeyUpdate that asks for neither of what it can.
    #[error("a KeyUpdate with an unknown request")]
    KeyUpdate,
    /// Too many messages about keys without data.
    #[error("too many messages without data")]
    Messages,
    /// OwedReplies more than once for another handshake.
    #[error("asked again for another handshake")]
    Renegotiation,
    /// A ticket that cannot be read.
    #[error("a ticket that cannot be read")]
    Ticket,
    /// No new keys could be made.
    #[error("no new keys could be made")]
    Keys,
    /// As many records as a key of TLS 1.2, which cannot be changed, may seal.
    #[error("as many records as a key may seal")]
    RecordLimit,
}

impl RecordFault {
    /// What the peer is told; nothing when it has told us.
    #[must_use]
    pub fn alert(self) -> Option<TlsAlert> {
        Some(match self {
            RecordFault::Received(_) => return None,
            RecordFault::RecordType
            | RecordFault::RecordPadding
            | RecordFault::EmptyRecords
            | RecordFault::EmptyMessage
            | RecordFault::Warnings
            | RecordFault::MessageType
            | RecordFault::MessageSplit
            | RecordFault::Messages => TlsAlert::UNEXPECTED_MESSAGE,
            RecordFault::RecordVersion => TlsAlert::PROTOCOL_VERSION,
            RecordFault::RecordLength => TlsAlert::RECORD_OVERFLOW,
            RecordFault::RecordMac => TlsAlert::BAD_RECORD_MAC,
            RecordFault::AlertLength | RecordFault::MessageLength | RecordFault::Ticket => TlsAlert::DECODE_ERROR,
            RecordFault::AlertLevel | RecordFault::KeyUpdate => TlsAlert::ILLEGAL_PARAMETER,
            RecordFault::Renegotiation => TlsAlert::HANDSHAKE_FAILURE,
            RecordFault::Keys => TlsAlert::INTERNAL_ERROR,
            RecordFault::RecordLimit => TlsAlert::CLOSE_NOTIFY,
        })
    }

    /// The word for the log and for the label of a metric.
    #[must_use]
    pub fn word(self) -> &'static &'static str {
        match self {
            RecordFault::Received(alert) => alert.received_word(),
            RecordFault::RecordType => &"record_type",
            RecordFault::RecordVersion => &"record_version",
            RecordFault::RecordLength => &"record_length",
            RecordFault::RecordMac => &"record_mac",
            RecordFault::RecordPadding => &"record_padding",
            RecordFault::EmptyRecords => &"empty_records",
            RecordFault::EmptyMessage => &"empty_message",
            RecordFault::AlertLength => &"alert_length",
            RecordFault::AlertLevel => &"alert_level",
            RecordFault::Warnings => &"warnings",
            RecordFault::MessageType => &"message_type",
            RecordFault::MessageLength => &"message_length",
            RecordFault::MessageSplit => &"message_split",
            RecordFault::KeyUpdate => &"key_update",
            RecordFault::Messages => &"messages",
            RecordFault::Renegotiation => &"renegotiation",
            RecordFault::Ticket => &"ticket",
            RecordFault::Keys => &"keys",
            RecordFault::RecordLimit => &"record_limit",
        }
    }
}
