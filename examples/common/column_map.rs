//! Names of columns before and after, as a flag has them.

/// Names of columns before and after, or none after for those that go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnMap(pub(crate) Vec<(String, Option<String>)>);

pub(crate) fn column_map(text: &str) -> Result<ColumnMap, String> {
    let mut pairs = vec![vec![String::new()]];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let pair = pairs.last_mut().ok_or("empty")?;
        match c {
            ',' => pairs.push(vec![String::new()]),
            '=' => pair.push(String::new()),
            c => {
                let c = if c == '\\' { chars.next().ok_or("a backslash at the end")? } else { c };
                pair.last_mut().ok_or("empty")?.push(c);
            }
        }
    }
    let pair = |names: Vec<String>| match <[String; 2]>::try_from(names) {
        Ok([old, new]) if !old.is_empty() => Ok((old, Some(new).filter(|new| !new.is_empty()))),
        _ => Err("each part is old=new, or old= for a column that goes".to_owned()),
    };
    pairs.into_iter().map(pair).collect::<Result<_, _>>().map(ColumnMap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_maps() {
        let map = column_map(r"a=b,c\,d=e\=\\,x=").unwrap();
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            map.0,
            [("a".to_owned(), name("b")), ("c,d".to_owned(), name(r"e=\")), ("x".to_owned(), None)]
        );
        for bad in ["", "a", "=b", "a=b=c", "a=b,", "a\\"] {
            assert!(column_map(bad).is_err(), "{bad}");
        }
    }
}
