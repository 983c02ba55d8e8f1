//! The configuration file and those it includes: TOML into one checked layer, with the place of every key.
//!
//! **Not**: reading files from disk.
//!
//! **Invariants**: everything that is wrong with the values and keys of a file is reported, in the order of its lines; of
//! broken TOML only the first place is. What is set twice in all files together is an error that names both places. At most
//! [`FILES_MAX`] files of [`FILE_BYTES_MAX`] are read. Recursion goes no deeper than the schema.
//!
//! **Source**: TOML 1.0.

use std::path::{Path, PathBuf};

use toml_edit::{Document, Item as Toml, TableLike};

use super::{
    error::{SettingError, shortened},
    include::{self, Files, INCLUDE},
    kind::Kind,
    layer::{SettingsLayer, unknown_key},
    origin::Origin,
    schema::{
        ListedTables, NamedTables, Schema, SettingKey, TABLE_NAME_BYTES_MAX, Table, TableItem, is_table_name, joined,
        numbered,
    },
    value::{SettingValue, quote},
};

/// Most files that are read: one for each of a few hundred sites.
pub const FILES_MAX: usize = 256;

/// Longest file, in bytes: far beyond what anybody writes, and read in milliseconds.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// Reads the configuration file `file` and those it includes. Relative paths in a file are relative to its folder.
pub(super) fn read_files(schema: &'static Schema, file: PathBuf, named_by: Origin, files: &dyn Files) -> SettingsLayer {
    let (layer, patterns) = (SettingsLayer::default(), Some(Vec::new()));
    let mut reader = FileReader { files, schema, file, text: String::new(), lines: Vec::new(), layer, patterns };
    reader.read_file(named_by);
    let (folder, patterns) = (reader.folder(), reader.patterns.take());
    let mut read = vec![reader.file.clone()];
    for (pattern, origin) in patterns.unwrap_or_default() {
        match include::expand(&folder, &pattern, files) {
            Ok(found) => {
                for file in found {
                    if read.contains(&file) {
                        continue;
                    }
                    if read.len() == FILES_MAX {
                        reader.refuse(origin, INCLUDE, &format!("{} as one more", file.display()), too_many_files());
                        return reader.layer;
                    }
                    read.push(file.clone());
                    reader.file = file;
                    reader.read_file(origin.clone());
                }
            }
            Err((folder, error)) => {
                let reason = error.to_string();
                reader.layer.errors.push(SettingError::Unreadable { file: folder, reason, named_by: origin });
            }
        }
    }
    reader.layer
}

fn too_many_files() -> String {
    format!("at most {FILES_MAX} files in all")
}

struct FileReader<'f> {
    files: &'f dyn Files,
    schema: &'static Schema,
    /// The file at hand, and its text.
    file: PathBuf,
    text: String,
    /// Where its lines begin.
    lines: Vec<usize>,
    /// What all files say.
    layer: SettingsLayer,
    /// What the first file includes, with where it says so; `None` while the others are read.
    patterns: Option<Vec<(String, Origin)>>,
}

impl FileReader<'_> {
    fn folder(&self) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).to_owned()
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File { file: self.file.clone(), line: self.line_at(offset) }
    }

    /// The line of the byte at `offset`, counted from 1.
    fn line_at(&self, offset: usize) -> usize {
        1 + self.lines.partition_point(|start| *start <= offset)
    }

    fn read_file(&mut self, named_by: Origin) {
        let unreadable = |reason| SettingError::Unreadable { file: self.file.clone(), reason, named_by };
        match self.files.read(&self.file) {
            Ok(text) if text.len() <= FILE_BYTES_MAX => {
                self.lines = line_starts(&text);
                self.text = text;
            }
            Ok(text) => {
                let reason = format!("it has {} bytes, and may have {FILE_BYTES_MAX}; split it", text.len());
                self.layer.errors.push(unreadable(reason));
                return;
            }
            Err(error) => {
                self.layer.errors.push(unreadable(error.to_string()));
                return;
            }
        }
        let before = self.layer.errors.len();
        match Document::parse(self.text.clone()) {
            Ok(document) => self.read_table("", self.schema.table, document.as_table()),
            Err(error) => {
                let line = error.span().map_or(1, |span| self.line_at(span.start));
                let reason = shortened(error.message());
                self.layer.errors.push(SettingError::Syntax { file: self.file.clone(), line, reason });
            }
        }
        self.layer.errors[before..].sort_by_key(SettingError::line);
    }

    fn read_table(&mut self, prefix: &str, declared: &'static Table, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let span = table.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span());
            let origin = self.origin(span.map_or(0, |span| span.start));
            let shown = if name.contains('.') { quote(name) } else { name.to_owned() };
            let path = joined(prefix, &shown);
            match declared.find(name) {
                Some(TableItem::Key(key)) => self.read_key(key, &path, item, origin),
                Some(TableItem::Table(_, declared)) => self.read_section(&path, declared, item, origin),
                Some(TableItem::Named(named)) => self.read_named(&path, named, item, origin),
                Some(TableItem::List(list)) => self.read_list(&path, list, item, origin),
                None if path == INCLUDE => self.read_include(item, origin),
                None => self.layer.errors.push(unknown_key(self.schema, &path, origin)),
            }
        }
    }

    fn read_key(&mut self, key: &SettingKey, path: &str, item: &Toml, origin: Origin) {
        let value = item.as_value().and_then(|value| key.kind.parse_toml(value));
        let value = value.or_else(|| item.as_table().and_then(|table| key.kind.parse_table(table)));
        let Some(value) = value else {
            let found = self.written(item);
            self.layer.errors.push(SettingError::invalid(key, path, origin, &found));
            return;
        };
        if let Some((_, first)) = self.layer.set.get(path) {
            let (key, first) = (path.to_owned(), first.clone());
            self.layer.errors.push(SettingError::Duplicate { origin, key, first });
            return;
        }
        let value = value.resolved_in(&self.folder());
        match (value, key.kind) {
            (SettingValue::Content(content), Kind::Content { bytes_max }) => {
                let found = content.path().display().to_string();
                match content.read(self.files, bytes_max) {
                    Ok(content) => {
                        self.layer.set.insert(path.to_owned(), (SettingValue::Content(content), origin));
                    }
                    Err(error) => {
                        let (key, reason) = (path.to_owned(), error.to_string());
                        self.layer.errors.push(SettingError::Unusable {
                            origin,
                            key,
                            found: shortened(&found),
                            reason,
                        });
                    }
                }
            }
            (value, _) => {
                self.layer.set.insert(path.to_owned(), (value, origin));
            }
        }
    }

    fn read_section(&mut self, path: &str, declared: &'static Table, item: &Toml, origin: Origin) {
        match item.as_table_like() {
            Some(table) => self.read_table(path, declared, table),
            None => self.refuse(origin, path, &self.written(item), format!("a table [{path}]")),
        }
    }

    fn read_named(&mut self, path: &str, named: &'static NamedTables, item: &Toml, origin: Origin) {
        let Some(tables) = item.as_table_like() else {
            self.refuse(origin, path, &self.written(item), format!("a table [{path}]"));
            return;
        };
        for (name, item) in tables.iter() {
            let span = tables.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span());
            let origin = self.origin(span.map_or(0, |span| span.start));
            let shown = if name.contains('.') { quote(name) } else { name.to_owned() };
            let table_path = joined(path, &shown);
            if !is_table_name(name) {
                let found = format!("the name \"{}\"", shortened(&shown));
                let allowed = format!("names of 1 to {TABLE_NAME_BYTES_MAX} bytes of a-z, 0-9, \"_\" and \"-\"");
                self.refuse(origin, &table_path, &found, allowed);
                continue;
            }
            let known = self.layer.tables.named.entry(path.to_owned()).or_default();
            if let Some(first) = known.get(name) {
                let first = first.clone();
                self.layer.errors.push(SettingError::Duplicate { origin, key: table_path, first });
            } else if known.len() == named.count_max {
                self.refuse(origin, &table_path, "one more", at_most(named.count_max));
            } else {
                known.insert(name.to_owned(), origin.clone());
                self.read_section(&table_path, named.table, item, origin);
            }
        }
    }

    fn read_list(&mut self, path: &str, list: &'static ListedTables, item: &Toml, origin: Origin) {
        let tables: Vec<&dyn TableLike> = match item {
            Toml::ArrayOfTables(tables) => tables.iter().map(|table| table as &dyn TableLike).collect(),
            Toml::Value(toml_edit::Value::Array(values)) if values.iter().all(toml_edit::Value::is_inline_table) => {
                values.iter().filter_map(|value| Some(value.as_inline_table()? as &dyn TableLike)).collect()
            }
            _ => {
                self.refuse(origin, path, &self.written(item), format!("tables [[{path}]]"));
                return;
            }
        };
        for table in tables {
            let first = table.iter().filter_map(|(name, _)| table.get_key_value(name)?.0.span()).map(|span| span.start);
            let origin = first.min().map_or_else(|| origin.clone(), |start| self.origin(start));
            let known = self.layer.tables.listed.entry(path.to_owned()).or_default();
            if known.len() == list.count_max {
                self.refuse(origin, path, "one more", at_most(list.count_max));
                return;
            }
            known.push(origin);
            let number = known.len();
            self.read_table(&numbered(path, number), list.table, table);
        }
    }

    /// Notes what the first file includes; the others may not.
    fn read_include(&mut self, item: &Toml, origin: Origin) {
        let Some(patterns) = &mut self.patterns else {
            let hint = "only the file that the command line or the environment names may include others".to_owned();
            self.layer.errors.push(SettingError::UnknownKey { origin, key: INCLUDE.to_owned(), hint });
            return;
        };
        let texts = item.as_array().map(|array| array.iter().map(toml_edit::Value::as_str).collect::<Option<Vec<_>>>());
        match texts.flatten() {
            Some(texts) if texts.iter().all(|text| include::is_pattern(text)) => {
                patterns.extend(texts.into_iter().map(|text| (text.to_owned(), origin.clone())));
            }
            _ => self.refuse(origin, INCLUDE, &self.written(item), include::ALLOWED.to_owned()),
        }
    }

    fn refuse(&mut self, origin: Origin, path: &str, found: &str, allowed: String) {
        let (key, found) = (shortened(path), shortened(found));
        self.layer.errors.push(SettingError::Invalid { origin, key, found, allowed });
    }

    /// The item as it stands in the file.
    fn written(&self, item: &Toml) -> String {
        let span = item.as_value().and_then(toml_edit::Value::span);
        span.and_then(|span| self.text.get(span)).map_or_else(|| "a table".to_owned(), str::to_owned)
    }
}

fn at_most(count_max: usize) -> String {
    format!("at most {count_max} such tables")
}

/// Where the lines of a text begin, but for the first.
fn line_starts(text: &str) -> Vec<usize> {
    text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect()
}
