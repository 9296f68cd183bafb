//! The chosen key: which columns, under which names on either side, and its values.

use serde::{Deserialize, Serialize};

use super::Ident;
use super::key_value::{KeyType, Malformed, write_int};
use super::predicate::Side;

/// One column of the chosen key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyColumn {
    /// Its name in the table.
    pub(crate) source: Ident,
    /// Its name in the ghost table: another one if the ALTER renames it.
    pub(crate) ghost: Ident,
    /// Its type in the table.
    pub(crate) ty: KeyType,
    /// Whether the index holds it in descending order.
    pub(crate) descending: bool,
}

/// The chosen key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyShape {
    /// The index of the table that enforces it.
    pub(crate) source_index: Ident,
    /// The index of the ghost table by which its rows are found, if there is one.
    pub(crate) ghost_index: Option<Ident>,
    /// Whether the ghost can hold only one row of a key. If not, rows are kept from being there twice
    /// by chunks and refreshes that are never under way together.
    pub(crate) ghost_unique: bool,
    pub(crate) columns: Vec<KeyColumn>,
}

/// A value of the chosen key, as it stands in a row image. Byte-different keys may still be the
/// same row to the server, so keys are never compared to decide anything: only to save work.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A key of one integer column, widened to 64 bits.
    Int(u64),
    /// Any other key: each column's bytes behind their length.
    Wide(Box<[u8]>),
    /// A key that did not come from a row image but was selected: the literals of its columns.
    Stated(Box<[String]>),
}

impl KeyShape {
    /// What makes the server find rows by the key's index: ` FORCE INDEX (PRIMARY)`.
    pub(crate) fn hint(&self, side: Side) -> String {
        let index = match side {
            Side::Source => Some(&self.source_index),
            Side::Ghost => self.ghost_index.as_ref(),
        };
        index.map_or_else(String::new, |index| format!(" FORCE INDEX ({index})"))
    }

    /// Whether the whole key is one integer column.
    pub(crate) fn is_int(&self) -> bool {
        matches!(self.columns.as_slice(), [KeyColumn { ty: KeyType::Int { .. }, .. }])
    }

    /// Whether two keys are the same row exactly if their bytes are the same.
    pub(crate) fn is_exact(&self) -> bool {
        self.columns.iter().all(|column| column.ty.is_exact())
    }

    /// The value of a key that is one integer.
    pub(crate) fn int_value(&self, key: &Key) -> Option<i128> {
        match (key, self.columns.as_slice()) {
            (Key::Int(value), [KeyColumn { ty: KeyType::Int { unsigned: true }, .. }]) => {
                Some(i128::from(*value))
            }
            (Key::Int(value), _) => Some(i128::from(i64::from_ne_bytes(value.to_ne_bytes()))),
            (Key::Wide(_) | Key::Stated(_), _) => None,
        }
    }

    /// The key at a place in its order. The same key from a row image is written alike.
    pub(crate) fn key_at(&self, bound: Bound) -> Key {
        match (bound.int_value(), self.is_int()) {
            // As many bits as a row image has, be they a negative number or a big one.
            (Some(value), true) => Key::Int(
                u64::try_from(value)
                    .or_else(|_| i64::try_from(value).map(|v| u64::from_ne_bytes(v.to_ne_bytes())))
                    .unwrap_or_default(),
            ),
            _ => Key::Stated(bound.0.into()),
        }
    }

    /// The literals of a key, one per column.
    pub(crate) fn literals(&self, key: &Key) -> Result<Vec<String>, Malformed> {
        match key {
            Key::Int(value) => {
                let unsigned = matches!(
                    self.columns.first().map(|column| &column.ty),
                    Some(KeyType::Int { unsigned: true })
                );
                let mut out = String::new();
                write_int(*value, unsigned, &mut out);
                Ok(vec![out])
            }
            Key::Stated(literals) => Ok(literals.to_vec()),
            Key::Wide(bytes) => {
                let mut rest = &**bytes;
                self.columns
                    .iter()
                    .map(|column| {
                        let mut out = String::new();
                        column.ty.write_literal(take_part(&mut rest)?, &mut out)?;
                        Ok(out)
                    })
                    .collect()
            }
        }
    }

    /// A key for people to read: `(7)`, `('a', 2024-01-01)`.
    pub(crate) fn display(&self, key: &Key) -> String {
        match self.literals(key) {
            Ok(literals) => format!("({})", literals.join(", ")),
            Err(Malformed) => "(?)".to_owned(),
        }
    }
}

/// Builds a [`Key::Wide`], column by column.
#[derive(Debug, Default)]
pub(crate) struct WideKey(Vec<u8>);

impl WideKey {
    pub(crate) fn push(&mut self, part: &[u8]) {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(part);
    }

    pub(crate) fn finish(self) -> Key {
        Key::Wide(self.0.into_boxed_slice())
    }
}

fn take_part<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, tail) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Malformed)?;
    let (part, tail) = tail.split_at_checked(length).ok_or(Malformed)?;
    *rest = tail;
    Ok(part)
}

/// A place in the order of the chosen key: the literals of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound(pub(crate) Vec<String>);

impl Bound {
    /// From the answer to a query of [`KeyType::select_expr`]s.
    pub(crate) fn of_selected(shape: &KeyShape, texts: &[String]) -> Self {
        let literal = |(column, text): (&KeyColumn, &String)| column.ty.literal_of_selected(text);
        Bound(shape.columns.iter().zip(texts).map(literal).collect())
    }
}

impl Bound {
    /// The value, where the key is one integer.
    pub(crate) fn int_value(&self) -> Option<i128> {
        match self.0.as_slice() {
            [literal] => literal.parse().ok(),
            _ => None,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({})", self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn shape(types: &[KeyType]) -> KeyShape {
        let column = |(i, ty): (usize, &KeyType)| KeyColumn {
            source: Ident::new(format!("k{i}")),
            ghost: Ident::new(format!("k{i}")),
            ty: ty.clone(),
            descending: false,
        };
        KeyShape {
            source_index: Ident::new("PRIMARY"),
            ghost_index: Some(Ident::new("PRIMARY")),
            ghost_unique: true,
            columns: types.iter().enumerate().map(column).collect(),
        }
    }

    #[test]
    fn wide_keys_keep_their_parts_apart() {
        let shape = shape(&[KeyType::Binary { pad_to: None }, KeyType::Ordinal]);
        let mut key = WideKey::default();
        key.push(b"a");
        key.push(&[2]);
        assert_eq!(shape.literals(&key.finish()).unwrap(), ["X'61'", "2"]);
        assert!(shape.literals(&Key::Wide([1, 0, 0, 0].into())).is_err());
    }

    #[test]
    fn a_selected_integer_is_the_key_of_a_row_image() {
        let bound = |text: &str| Bound(vec![text.to_owned()]);
        let signed = shape(&[KeyType::Int { unsigned: false }]);
        assert_eq!(signed.key_at(bound("-1")), Key::Int(u64::MAX));
        let unsigned = shape(&[KeyType::Int { unsigned: true }]);
        assert_eq!(unsigned.key_at(bound("18446744073709551615")), Key::Int(u64::MAX));
        let text = shape(&[KeyType::Text { charset: "latin1".to_owned() }]);
        let key = text.key_at(bound("_latin1 X'61'"));
        assert_eq!(text.display(&key), "(_latin1 X'61')");
    }
}
