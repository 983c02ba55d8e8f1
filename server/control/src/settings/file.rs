//! The configuration file: TOML into a checked layer, with the line of every key.
//!
//! **Not**: reading the file from disk.
//!
//! **Invariants**: everything that is wrong with the values and keys of a file is reported, in the order of its lines; of
//! broken TOML only the first place is. Recursion goes no deeper than the schema.
//!
//! **Source**: TOML 1.0.

use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike};

use super::{
    error::{SettingError, shortened},
    layer::{Layer, unknown_key},
    origin::Origin,
    schema::{FAMILY_TABLES_MAX, Key, Place, Schema, TABLE_NAME_BYTES_MAX, is_table_name},
    value::quote,
};

/// Reads the text of the configuration file `file`. Relative paths in it are relative to the folder the file is in.
pub(super) fn read_file(schema: &Schema, file: &Path, text: &str) -> Layer {
    let mut reader = Reader { schema, file: file.to_owned(), text, layer: Layer::default() };
    match Document::parse(text) {
        Ok(document) => reader.read_table("", document.as_table()),
        Err(error) => {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            let reason = shortened(error.message());
            reader.layer.errors.push(SettingError::Syntax { file: file.to_owned(), line, reason });
        }
    }
    reader.layer.errors.sort_by_key(SettingError::line);
    reader.layer
}

struct Reader<'a> {
    schema: &'a Schema,
    file: PathBuf,
    text: &'a str,
    layer: Layer,
}

impl Reader<'_> {
    fn read_table(&mut self, prefix: &str, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let span = table.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span());
            let name = if name.contains('.') { quote(name) } else { name.to_owned() };
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let line = span.map_or(1, |span| line_at(self.text, span.start));
            let origin = Origin::File { file: self.file.clone(), line };
            match self.schema.place(&path, &name) {
                Place::Key(key) => self.read_key(key, &path, item, origin),
                Place::Section => self.read_section(&path, item, origin),
                Place::FamilyTable(name) => self.read_family_table(name, &path, item, origin),
                Place::Unknown => self.layer.errors.push(unknown_key(self.schema, &path, origin)),
            }
        }
    }

    fn read_key(&mut self, key: &Key, path: &str, item: &Item, origin: Origin) {
        match item.as_value().and_then(|value| key.kind.parse_toml(value)) {
            Some(value) => {
                let folder = self.file.parent().unwrap_or(Path::new(""));
                self.layer.set.insert(path.to_owned(), (value.resolved_in(folder), origin));
            }
            None => self.layer.errors.push(SettingError::invalid(key, path, origin, &self.written(item))),
        }
    }

    fn read_section(&mut self, path: &str, item: &Item, origin: Origin) {
        match item.as_table_like() {
            Some(table) => self.read_table(path, table),
            None => {
                let (key, found) = (path.to_owned(), shortened(&self.written(item)));
                self.layer.errors.push(SettingError::Invalid {
                    origin,
                    key,
                    found,
                    allowed: format!("a table [{path}]"),
                });
            }
        }
    }

    fn read_family_table(&mut self, name: &str, path: &str, item: &Item, origin: Origin) {
        if !is_table_name(name) {
            let (key, found) = (shortened(path), format!("the name \"{}\"", shortened(name)));
            let allowed = format!("names of 1 to {TABLE_NAME_BYTES_MAX} bytes of a-z, 0-9, \"_\" and \"-\"");
            self.layer.errors.push(SettingError::Invalid { origin, key, found, allowed });
        } else if self.layer.tables.len() == FAMILY_TABLES_MAX {
            let (key, found) = (path.to_owned(), "one more".to_owned());
            let allowed = format!("at most {FAMILY_TABLES_MAX} such tables");
            self.layer.errors.push(SettingError::Invalid { origin, key, found, allowed });
        } else {
            self.layer.tables.push(name.to_owned());
            self.read_section(path, item, origin);
        }
    }

    /// The item as it stands in the file.
    fn written(&self, item: &Item) -> String {
        let span = item.as_value().and_then(toml_edit::Value::span);
        span.and_then(|span| self.text.get(span)).map_or_else(|| "a table".to_owned(), str::to_owned)
    }
}

/// The line of the byte at `offset`, counted from 1.
fn line_at(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}
