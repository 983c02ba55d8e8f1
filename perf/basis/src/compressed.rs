//! A file as a stream of bytes, decompressed when its name says that it is compressed.
//!
//! **Not**: guessing from the content; the suffix decides.
//!
//! **Invariants**: what is damaged or cut short is an error, never an early end.
//!
//! **Source**: RFC 1952 (gzip, several members), the .xz file format 1.2 (several streams), RFC 8878 (zstd, several
//! frames, skippable ones among them).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Read from the file at once.
const FILE_BUFFER_BYTES: usize = 256 << 10;

/// Decompressed at once: small, because what was decompressed before an error in the same turn is lost, and the error is told
/// with the place where it was met.
const BUFFER_BYTES: usize = 4 << 10;

/// Opens a file for reading; `.gz`, `.xz` and `.zst` are decompressed.
///
/// # Errors
/// The file cannot be opened. What is wrong inside comes from reading.
pub fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| format!("{}: cannot be opened; check its name", path.display()))?;
    Ok(decoder(path, BufReader::with_capacity(FILE_BUFFER_BYTES, file)))
}

fn decoder(path: &Path, source: impl BufRead + 'static) -> Box<dyn BufRead> {
    let suffix = path.extension().unwrap_or_default();
    let buffered = |reader: Box<dyn Read>| Box::new(BufReader::with_capacity(BUFFER_BYTES, reader));
    match suffix.to_str() {
        Some("gz") => buffered(Box::new(MultiGzDecoder::new(source))),
        Some("xz") => buffered(Box::new(XzReader::new(source, true))),
        Some("zst") => buffered(Box::new(Zstd::new(source))),
        _ => Box::new(source),
    }
}

/// All frames of a zstd file, one after the other.
struct Zstd<R> {
    source: R,
    frame: FrameDecoder,
    /// Whether `frame` is in the middle of a frame.
    in_frame: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        Self { source, frame: FrameDecoder::new(), in_frame: false }
    }

    /// Begins the next frame; `false` at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.frame.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                    if skipped < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// Compares the checksum of a frame that has been read, if it has one.
    fn check(&self) -> io::Result<()> {
        match (self.frame.get_checksum_from_data(), self.frame.get_calculated_checksum()) {
            (Some(stored), Some(found)) if stored != found => Err(io::Error::other("a frame's checksum is wrong")),
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame {
                if !self.begin()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.frame.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
            }
            let count = self.frame.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            self.check()?;
            self.in_frame = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn content() -> Vec<u8> {
        (0..40_000u32).flat_map(|n| (n * n).to_be_bytes()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn read(name: &str, packed: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decoder(Path::new(name), io::Cursor::new(packed)).read_to_end(&mut out)?;
        Ok(out)
    }

    type Pack = fn(&[u8]) -> Vec<u8>;
    const KINDS: [(&str, Pack); 3] = [("a.gz", gzip), ("a.trace.xz", xz), ("a.zst", zstd)];

    #[test]
    fn every_compression_is_read_and_so_are_files_put_together() {
        let content = content();
        assert_eq!(read("a.bin", content.clone()).unwrap(), content);
        for (name, pack) in KINDS {
            assert_eq!(read(name, pack(&content)).unwrap(), content, "{name}");
            let (front, back) = content.split_at(1000);
            assert_eq!(read(name, [pack(front), pack(back)].concat()).unwrap(), content, "{name}");
            assert!(read(name, pack(&[])).unwrap().is_empty(), "{name}");
        }
    }

    #[test]
    fn skippable_frames_of_zstd_are_skipped() {
        let skippable = [&0x184d_2a53_u32.to_le_bytes()[..], &3u32.to_le_bytes(), b"abc"].concat();
        let packed = [skippable.clone(), zstd(b"one"), skippable.clone(), zstd(b"two")].concat();
        assert_eq!(read("a.zst", packed).unwrap(), b"onetwo");
        assert!(read("a.zst", skippable[..10].to_vec()).is_err());
    }

    #[test]
    fn what_is_cut_short_or_damaged_is_an_error() {
        for (name, pack) in KINDS {
            let packed = pack(&content());
            for kept in [1, 7, packed.len() / 2, packed.len() - 1] {
                assert!(read(name, packed[..kept].to_vec()).is_err(), "{name} cut to {kept} of {}", packed.len());
            }
            let mut damaged = packed.clone();
            damaged[packed.len() / 2] ^= 0x55;
            assert!(read(name, damaged).is_err(), "{name} damaged");
            assert!(read(name, b"this was never compressed".to_vec()).is_err(), "{name} garbage");
        }
    }
}
