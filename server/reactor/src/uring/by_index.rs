//! Tables of what few connections have, by connection index.
//!
//! **Invariants**: a table grows to the highest index it has held something for, and no further.

use crate::id::SlabKey;

pub(super) fn put<T>(table: &mut Vec<Option<T>>, key: SlabKey, value: T) {
    let index = key.index as usize;
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(value);
}

pub(super) fn take<T>(table: &mut [Option<T>], key: SlabKey) -> Option<T> {
    table.get_mut(key.index as usize)?.take()
}
