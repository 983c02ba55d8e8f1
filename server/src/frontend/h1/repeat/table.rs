//! The heads that a core has met again, with what they ask for and the head of the answer that they got last.
//!
//! ```text
//!   input ──its target──▶ place, tag    the place's tag? and the same bytes? then recalled
//!                           place: [ tag ] [ known head | its key, hash | the last answer's head ]
//!                                  [ mark of the last stranger, patience ]    the same mark again? then learned
//! ```
//!
//! **Not** a cache of answers: a recalled head is looked up like any other, and what its answer says is compared anew.
//!
//! **Invariants**: what is recalled is the beginning of the input, byte for byte; an answer's head is used for nothing
//! but what it was written from; nothing is allocated after the start.
//!
//! **Source**: RFC 9112 section 2.1 (a head ends with its first empty line, so that no head begins with another).

use shardstore::cache::METADATA_BYTES_MAX;
use shardstore::key::KeyHash;

/// Places of a core. The 256 most asked keys of a million are about two of five requests, at a Zipf exponent of 1; the
/// places that are in use take some 600 bytes each, of a cache that has other things to hold.
const PLACES: usize = 256;
const _: () = assert!(PLACES.is_power_of_two(), "a place is the high bits of a fold");

/// Longest head that becomes known, in bytes: most of programs are shorter; a browser's with cookies is not asked twice alike.
pub(crate) const HEAD_BYTES_MAX: usize = 512;

/// Longest stored key of a head that becomes known, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 256;

/// Longest head of an answer that is kept, in bytes: all but those with the longest content types.
const ANSWER_BYTES_MAX: usize = 512;

/// So many times a stranger has to be met again to take a known head's place: where heads of one key differ from request to
/// request (a trace id), next to nothing is spent on learning them.
const PATIENCE: u8 = 8;

/// Bytes that tell a head's place: the last of its target, in which requests for different keys differ. A head that has
/// fewer in all is never known.
const FOLDED_BYTES: usize = 32;

/// What follows the target in a request line, up to its CR.
const VERSION_BYTES: usize = b" HTTP/1.1".len();

/// The heads one core knows.
pub(crate) struct Repeats {
    /// One for each place. Apart from what is known, so that strangers, who are told by their tags and marks, stay in three
    /// kilobytes of the cache.
    tags: [u32; PLACES],
    strangers: [Stranger; PLACES],
    known: Box<[Known]>,
}

/// The last head that came to a place and was not the one known there.
#[derive(Clone, Copy)]
struct Stranger {
    mark: u32,
    patience: u8,
}

/// A head that came before.
pub(crate) struct Known {
    /// From the request line through the empty line.
    head: Vec<u8>,
    key: Vec<u8>,
    hash: Option<KeyHash>,
    answer: AnswerHead,
}

/// What the head of a 200 with a whole value is written from, apart from its content type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) version: u64,
    pub(crate) value_bytes: usize,
    pub(crate) max_age_s: Option<u32>,
    /// Of its `Date`, unix seconds.
    pub(crate) date_s: u64,
}

/// The head of the last answer to a known head.
pub(crate) struct AnswerHead {
    said: Option<Said>,
    content_type: Vec<u8>,
    bytes: Vec<u8>,
}

impl Repeats {
    pub(crate) fn new() -> Self {
        let known = (0..PLACES).map(|_| Known::new()).collect();
        Repeats { tags: [0; PLACES], strangers: [Stranger { mark: 0, patience: 0 }; PLACES], known }
    }

    /// The known head that the input begins with.
    #[inline(always)]
    pub(crate) fn recall(&mut self, input: &[u8]) -> Option<&mut Known> {
        let line = memchr::memchr(b'\r', &input[..input.len().min(HEAD_BYTES_MAX)])?;
        let spot = Spot::of(input, line.saturating_sub(VERSION_BYTES))?;
        if self.tags[spot.place] != spot.tag {
            return None;
        }
        let known = &mut self.known[spot.place];
        input.starts_with(&known.head).then_some(known)
    }

    /// Notes a head that was read, where its target ends in it, and what it asks for; it becomes known when it has come before.
    #[inline]
    pub(crate) fn note(&mut self, (head, target_end): (&[u8], usize), key: &[u8], hash: KeyHash) {
        if head.len() > HEAD_BYTES_MAX || key.len() > KEY_BYTES_MAX {
            return;
        }
        let Some(spot) = Spot::of(head, target_end) else { return };
        // Heads of one key and one length are taken for one: to know better would take a look at all of their bytes.
        let mark = (hash.index() >> 32) as u32 ^ head.len() as u32;
        let stranger = &mut self.strangers[spot.place];
        if std::mem::replace(&mut stranger.mark, mark) != mark {
            return;
        }
        stranger.patience = stranger.patience.saturating_sub(1);
        if stranger.patience == 0 {
            stranger.patience = PATIENCE;
            self.tags[spot.place] = spot.tag;
            self.known[spot.place].learn(head, key, hash);
        }
    }
}

/// Where a head belongs.
#[derive(Clone, Copy)]
struct Spot {
    place: usize,
    /// Not 0, which stands for a place where nothing is known.
    tag: u32,
}

impl Spot {
    /// Of a head whose target ends there; none for what is too short.
    #[inline(always)]
    fn of(head: &[u8], target_end: usize) -> Option<Self> {
        let words: &[u8; FOLDED_BYTES] = head.get(target_end.saturating_sub(FOLDED_BYTES)..)?.first_chunk()?;
        let word = |at: usize| u64::from_le_bytes(*words[at..].first_chunk().expect("the places are inside the bytes"));
        // Multiplicative hashing (Knuth), the products side by side; a second one brings the high bits down to all.
        let sum = word(0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ word(8).wrapping_mul(0xC2B2_AE3D_27D4_EB4F).rotate_left(16)
            ^ word(16).wrapping_mul(0x1656_67B1_9E37_79F9).rotate_left(32)
            ^ word(24).wrapping_mul(0x27D4_EB2F_1656_67C5).rotate_left(48);
        let fold = (sum ^ (sum >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let place = (fold >> (u64::BITS - PLACES.trailing_zeros())) as usize;
        Some(Spot { place, tag: (fold >> 16) as u32 | 1 })
    }
}

impl Known {
    fn new() -> Self {
        Known {
            head: Vec::with_capacity(HEAD_BYTES_MAX),
            key: Vec::with_capacity(KEY_BYTES_MAX),
            hash: None,
            answer: AnswerHead {
                said: None,
                content_type: Vec::with_capacity(METADATA_BYTES_MAX),
                bytes: Vec::with_capacity(ANSWER_BYTES_MAX),
            },
        }
    }

    #[inline(never)]
    fn learn(&mut self, head: &[u8], key: &[u8], hash: KeyHash) {
        self.head.clear();
        self.head.extend_from_slice(head);
        self.key.clear();
        self.key.extend_from_slice(key);
        self.hash = Some(hash);
        self.answer.said = None;
    }

    /// Bytes of the head.
    #[inline]
    pub(crate) fn head_bytes(&self) -> usize {
        self.head.len()
    }

    /// The stored key it asks for, its hash, and the head of the last answer.
    #[inline(always)]
    pub(crate) fn parts(&mut self) -> (&[u8], KeyHash, &mut AnswerHead) {
        let hash = self.hash.expect("a known head was learned with its hash");
        (&self.key, hash, &mut self.answer)
    }
}

impl AnswerHead {
    /// The head of the last answer, if it says just this.
    #[inline(always)]
    pub(crate) fn saying(&self, said: Said, content_type: &[u8]) -> Option<&[u8]> {
        (self.said == Some(said) && self.content_type == content_type).then_some(&self.bytes)
    }

    /// Keeps the head of an answer, if there is room for it.
    #[inline(never)]
    pub(crate) fn keep(&mut self, said: Said, content_type: &[u8], head: &[u8]) {
        let fits = content_type.len() <= METADATA_BYTES_MAX && head.len() <= ANSWER_BYTES_MAX;
        self.said = fits.then_some(said);
        self.content_type.clear();
        self.bytes.clear();
        if fits {
            self.content_type.extend_from_slice(content_type);
            self.bytes.extend_from_slice(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use shardstore::key::KeyHasher;

    use super::*;

    fn head(key: &str, more: &str) -> Vec<u8> {
        format!("GET /v1/kv/default/{key} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").into_bytes()
    }

    fn note(repeats: &mut Repeats, head: &[u8], key: &str) {
        let target_end = memchr::memmem::find(head, b" HTTP/1.").unwrap();
        repeats.note((head, target_end), key.as_bytes(), KeyHasher::new(1).hash(key.as_bytes()));
    }

    fn recalled(repeats: &mut Repeats, input: &[u8]) -> Option<(usize, Vec<u8>)> {
        repeats.recall(input).map(|known| (known.head_bytes(), known.parts().0.to_vec()))
    }

    const SAID: Said = Said { version: 1, value_bytes: 2, max_age_s: None, date_s: 4 };

    #[test]
    fn a_head_is_known_when_it_has_come_twice() {
        let mut repeats = Repeats::new();
        let head = head("a", "");
        note(&mut repeats, &head, "a");
        assert_eq!(recalled(&mut repeats, &head), None);
        note(&mut repeats, &head, "a");
        let mut input = head.clone();
        input.extend_from_slice(b"GET / HTTP/1.1");
        assert_eq!(recalled(&mut repeats, &input), Some((head.len(), b"a".to_vec())), "what follows does not matter");
        assert_eq!(recalled(&mut repeats, &head[..head.len() - 1]), None, "a part of a head is not the head");
    }

    /// Whatever comes in whatever order, what is recalled is the beginning of the input, and its own key.
    #[test]
    fn what_is_recalled_is_what_came() {
        let mut repeats = Repeats::new();
        let mut random = reactor::Random::new(7);
        let mut recalls = 0;
        for _ in 0..50_000 {
            // Few keys, so that places are shared, and fields that make heads of one key differ.
            let key = format!("{:x<1$}", random.below(400), 1 + random.below(3) as usize * 20);
            let more = ["", "A: 1\r\n", "A: 2\r\n", "Accept: */*\r\n"][random.below(4) as usize];
            let head = head(&key, more);
            match recalled(&mut repeats, &head) {
                Some(known) => {
                    assert_eq!(known, (head.len(), key.into_bytes()));
                    recalls += 1;
                }
                None => note(&mut repeats, &head, &key),
            }
        }
        assert!(recalls > 1_000, "{recalls} recalls show nothing");
    }

    #[test]
    fn a_known_head_stays_while_strangers_pass() {
        let mut repeats = Repeats::new();
        // One length and one key, so that they have a place and a mark in common.
        let [first, second] =
            ["A: 1\r\n", "A: 2\r\n"].map(|more| head("key-of-both", &format!("Accept: text/plain\r\n{more}")));
        (0..2).for_each(|_| note(&mut repeats, &first, "key-of-both"));
        for _ in 1..PATIENCE {
            assert!(recalled(&mut repeats, &first).is_some());
            assert_eq!(recalled(&mut repeats, &second), None);
            note(&mut repeats, &second, "key-of-both");
        }
        note(&mut repeats, &second, "key-of-both");
        assert!(recalled(&mut repeats, &second).is_some() && recalled(&mut repeats, &first).is_none());
    }

    #[test]
    fn what_is_too_long_or_too_short_is_not_known() {
        let mut repeats = Repeats::new();
        let long_key = "k".repeat(KEY_BYTES_MAX + 1);
        let long_head = head("k", &format!("A: {}\r\n", "x".repeat(HEAD_BYTES_MAX)));
        for (head, key) in
            [(head(&long_key, ""), &long_key[..]), (long_head, "k"), (b"GET / HTTP/1.0\r\n\r\n".to_vec(), "k")]
        {
            (0..3).for_each(|_| note(&mut repeats, &head, key));
            assert_eq!(recalled(&mut repeats, &head), None);
        }
    }

    #[test]
    fn an_answer_s_head_is_used_for_what_it_says_only() {
        let mut repeats = Repeats::new();
        let head = head("a", "");
        (0..2).for_each(|_| note(&mut repeats, &head, "a"));
        let (_, _, answer) = repeats.recall(&head).unwrap().parts();
        assert_eq!(answer.saying(SAID, b"text/plain"), None);
        answer.keep(SAID, b"text/plain", b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(answer.saying(SAID, b"text/plain"), Some(&b"HTTP/1.1 200 OK\r\n\r\n"[..]));
        for other in [
            Said { version: 9, ..SAID },
            Said { value_bytes: 9, ..SAID },
            Said { max_age_s: Some(9), ..SAID },
            Said { date_s: 9, ..SAID },
        ] {
            assert_eq!(answer.saying(other, b"text/plain"), None, "{other:?}");
        }
        assert_eq!(answer.saying(SAID, b"text/html"), None);
        answer.keep(SAID, b"text/plain", &[b'x'; ANSWER_BYTES_MAX + 1]);
        assert_eq!(answer.saying(SAID, b"text/plain"), None, "there is no room for it");
    }
}
