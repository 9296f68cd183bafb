//! The reading of a clause: cut at the commas outside parentheses, then item by item.

use super::cursor::{Cursor, check_versioning, split};
use super::{AlterClause, AlterError, ColumnChange};
use crate::sql::tokens::{Dialect, Spanned, Token, tokenize};

/// Words that make `ADD x` or `DROP x` speak about something else than a column `x`. All are
/// reserved, so a column of that name has quotes.
const NOT_A_COLUMN: [&str; 11] = [
    "PRIMARY",
    "INDEX",
    "KEY",
    "UNIQUE",
    "FULLTEXT",
    "SPATIAL",
    "FOREIGN",
    "CHECK",
    "CONSTRAINT",
    "PARTITION",
    "COLUMN",
];

/// Options of a table that take one value.
const OPTIONS: [&str; 39] = [
    "AUTOEXTEND_SIZE",
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CHARSET",
    "CHECKSUM",
    "COLLATE",
    "COMMENT",
    "COMPRESSION",
    "CONNECTION",
    "DELAY_KEY_WRITE",
    "ENCRYPTED",
    "ENCRYPTION",
    "ENCRYPTION_KEY_ID",
    "ENGINE",
    "ENGINE_ATTRIBUTE",
    "IETF_QUOTES",
    "INSERT_METHOD",
    "ITEF_QUOTES",
    "KEY_BLOCK_SIZE",
    "MAX_ROWS",
    "MIN_ROWS",
    "PACK_KEYS",
    "PAGE_CHECKSUM",
    "PAGE_COMPRESSED",
    "PAGE_COMPRESSION_LEVEL",
    "PASSWORD",
    "ROW_FORMAT",
    "SECONDARY_ENGINE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "TABLE_CHECKSUM",
    "TABLESPACE",
    "TRANSACTIONAL",
    "TYPE",
    "UNION",
    "DATA",
    "INDEX",
];

/// With `lenient`, parts that are not understood are noted and passed over, unless they could do
/// something to other things than columns.
pub(super) fn parse(
    text: &str,
    dialect: Dialect,
    lenient: bool,
) -> Result<AlterClause, AlterError> {
    let mut tokens = tokenize(text, dialect)?;
    // Hints are hints after SELECT and the like only.
    tokens.retain(|t| !matches!(t.token, Token::Hint(_)));
    let Some(first) = tokens.first() else {
        return Err(AlterError::Empty);
    };
    check_whole(&tokens, first)?;
    let mut parser =
        Parser { clause: AlterClause { text: text.to_owned(), ..AlterClause::default() } };
    for item in split(&tokens)? {
        match parser.item(Cursor::new(item.tokens, item.start)) {
            Err(AlterError::Unsure { .. }) if lenient && !is_risky(item.tokens) => {
                let words = item.tokens.iter().filter_map(Spanned::identifier);
                parser.clause.unread.get_or_insert_default().extend(words.map(Into::into));
            }
            other => other?,
        }
    }
    Ok(parser.clause)
}

/// Whether a part that is not understood may be about the table's name, files or partitions.
fn is_risky(tokens: &[Spanned<'_>]) -> bool {
    const RISKY: [&str; 9] = [
        "RENAME",
        "EXCHANGE",
        "DISCARD",
        "IMPORT",
        "TRUNCATE",
        "ALGORITHM",
        "LOCK",
        "PARTITION",
        "UNION",
    ];
    tokens.iter().any(|token| token.is_any(&RISKY))
}

fn check_whole(tokens: &[Spanned<'_>], first: &Spanned<'_>) -> Result<(), AlterError> {
    for t in tokens {
        match t.token {
            Token::Executable(_) => return Err(AlterError::ExecutableComment { offset: t.start }),
            Token::Symbol(';') => return Err(AlterError::Semicolon { offset: t.start }),
            _ => {}
        }
    }
    if first.is_word("ALTER") {
        let mut rest =
            tokens.iter().skip(1).skip_while(|t| t.is_any(&["ONLINE", "OFFLINE", "IGNORE"]));
        if rest.next().is_some_and(|t| t.is_word("TABLE")) {
            return Err(AlterError::WholeStatement);
        }
    }
    Ok(())
}

struct Parser {
    clause: AlterClause,
}

impl Parser {
    fn item(&mut self, mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
        let here = c;
        check_versioning(c)?;
        if c.at_partitioning() {
            return Ok(());
        }
        let Some(first) = c.next() else {
            return here.unsure("an empty part between commas");
        };
        let Token::Word(word) = first.token else {
            return here.unsure("a part that does not begin with a keyword");
        };
        let offset = first.start;
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "ADD" => self.add(c),
            "DROP" => self.drop(c, offset),
            "CHANGE" => self.change(c),
            "MODIFY" => self.modify(c),
            "RENAME" => self.rename(c, offset),
            "ALTER" => {
                self.note_constraint(c);
                alter(c)
            }
            "ALGORITHM" | "LOCK" => Err(AlterError::ServerOption { option: word, offset }),
            "TRUNCATE" | "EXCHANGE" | "DISCARD" | "IMPORT" | "COALESCE" | "REORGANIZE"
            | "REBUILD" | "ANALYZE" | "CHECK" | "OPTIMIZE" | "REPAIR" | "CONVERT"
                if c.peek_any(&["PARTITION", "TABLE"]) =>
            {
                Err(AlterError::Partition { action: format!("{word} PARTITION"), offset })
            }
            "DISCARD" | "IMPORT" if c.peek_word("TABLESPACE") => {
                Err(AlterError::Tablespace { action: word, offset })
            }
            "ORDER" if c.peek_word("BY") => Err(AlterError::OrderBy { offset }),
            "FORCE" => c.end("what follows FORCE"),
            "ENABLE" | "DISABLE" if c.eat("KEYS") => c.end("what follows KEYS"),
            "WITH" | "WITHOUT" if c.eat("VALIDATION") => c.end("what follows VALIDATION"),
            "CONVERT" if c.eat_all(&["TO", "CHARACTER", "SET"]) => convert(c),
            "CONVERT" if c.eat_all(&["TO", "CHARSET"]) => convert(c),
            _ => self.options(here),
        }
    }

    fn add(&mut self, mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
        // ADD PARTITION makes empty partitions, or spreads the rows again as they are copied.
        if c.peek_word("PARTITION") {
            return Ok(());
        }
        let explicit = c.eat("COLUMN");
        c.eat_all(&["IF", "NOT", "EXISTS"]);
        if let Some(list) = c.eat_parens() {
            for element in split(list.rest)? {
                self.element(Cursor::new(element.tokens, list.offset), false)?;
            }
            return c.end("what follows the list of columns");
        }
        self.element(c, explicit)
    }

    /// A column, or a key or constraint, that is added.
    fn element(&mut self, mut c: Cursor<'_, '_>, is_column: bool) -> Result<(), AlterError> {
        if is_column {
            return self.added_column(c);
        }
        let here = c;
        if c.eat("CONSTRAINT") {
            c.eat_all(&["IF", "NOT", "EXISTS"]);
            if !c.peek_any(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) {
                c.name("a constraint without a name")?;
            }
            if !c.peek_any(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) {
                return c.unsure("a constraint of unknown kind");
            }
        }
        // Neither a type nor a column begins with these, so the item is about an index or period.
        if c.peek_words(&["VECTOR", "INDEX"])
            || c.peek_words(&["VECTOR", "KEY"])
            || c.peek_words(&["PERIOD", "FOR"])
            || c.peek_words(&["PERIOD", "IF"])
        {
            return Ok(());
        }
        if c.peek_word("VECTOR") {
            return here.unsure("VECTOR, an index or a column,");
        }
        if c.peek_any(&NOT_A_COLUMN) {
            return self.added_key(c);
        }
        self.added_column(c)
    }

    fn added_key(&mut self, mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
        let here = c;
        if c.eat_all(&["PRIMARY", "KEY"]) {
            self.clause.adds_primary_key = true;
        } else if c.eat("UNIQUE") {
            self.clause.adds_unique = true;
        } else if c.eat_all(&["FOREIGN", "KEY"]) {
            self.clause.adds_foreign_key = true;
        } else if !c.peek_any(&["INDEX", "KEY", "FULLTEXT", "SPATIAL", "CHECK"]) {
            return here.unsure("a part of ADD");
        }
        Ok(())
    }

    fn added_column(&mut self, mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
        let name = c.name("the name of the column to add")?;
        self.definition(c)?;
        self.clause.added_columns.push(name);
        Ok(())
    }

    fn drop(&mut self, mut c: Cursor<'_, '_>, offset: usize) -> Result<(), AlterError> {
        if c.peek_word("PARTITION") {
            return Err(AlterError::Partition { action: "DROP PARTITION".to_owned(), offset });
        }
        if c.eat_all(&["PRIMARY", "KEY"]) {
            self.clause.drops_primary_key = true;
            return c.end("what follows DROP PRIMARY KEY");
        }
        if c.eat_all(&["FOREIGN", "KEY"]) {
            self.clause.drops_foreign_key = true;
            return Ok(());
        }
        if c.peek_any(&["INDEX", "KEY", "CHECK", "CONSTRAINT"]) {
            self.note_constraint(c);
            // `PRIMARY` is the name of the primary key's index, and of its constraint.
            self.clause.drops_primary_key |=
                c.rest.iter().skip(1).any(|t| {
                    t.identifier().is_some_and(|name| name.eq_ignore_ascii_case("PRIMARY"))
                });
            self.clause.drops_foreign_key |= c.peek_word("CONSTRAINT");
            return Ok(());
        }
        if c.peek_words(&["PERIOD", "FOR"]) || c.peek_words(&["PERIOD", "IF"]) {
            return Ok(());
        }
        if !c.eat("COLUMN") && c.peek_any(&NOT_A_COLUMN) {
            return c.unsure("what DROP drops");
        }
        c.eat_all(&["IF", "EXISTS"]);
        let name = c.name("the name of the column to drop")?;
        if c.peek_any(&["RESTRICT", "CASCADE"]) {
            c.next();
        }
        c.end("what follows the column to drop")?;
        self.clause.dropped_columns.push(name);
        Ok(())
    }

    /// `CHECK c`, or `CONSTRAINT c`, where a constraint is dropped or altered.
    fn note_constraint(&mut self, mut c: Cursor<'_, '_>) {
        if !c.eat("CHECK") && !c.eat("CONSTRAINT") {
            return;
        }
        c.eat_all(&["IF", "EXISTS"]);
        if let Some((token, name)) = c.next().and_then(|token| Some((token, token.identifier()?))) {
            self.clause.constraint_names.push((token.start..token.end, name.into_owned()));
        }
    }

    fn change(&mut self, mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
        c.eat("COLUMN");
        c.eat_all(&["IF", "EXISTS"]);
        let old = c.name("the column to change")?;
        let new = c.name("the new name of the column to change")?;
        self.definition(c)?;
        self.clause.changes.push(ColumnChange { old, new });
        Ok(())
    }

    fn modify(&mut self, mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
        c.eat("COLUMN");
        c.eat_all(&["IF", "EXISTS"]);
        let name = c.name("the column to modify")?;
        self.definition(c)?;
        self.clause.modified_columns.push(name);
        Ok(())
    }

    fn rename(&mut self, mut c: Cursor<'_, '_>, offset: usize) -> Result<(), AlterError> {
        let column = c.eat("COLUMN");
        if !column && !c.eat("INDEX") && !c.eat("KEY") {
            return Err(AlterError::TableRename { offset });
        }
        c.eat_all(&["IF", "EXISTS"]);
        let old = c.name("the old name in RENAME")?;
        if !c.eat("TO") {
            return c.unsure("a RENAME without TO");
        }
        let new = c.name("the new name in RENAME")?;
        c.end("what follows RENAME")?;
        if column {
            self.clause.changes.push(ColumnChange { old, new });
        }
        Ok(())
    }

    /// What follows the name of a column: its type and attributes.
    fn definition(&mut self, mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
        check_versioning(c)?;
        let is_type = matches!(c.rest.first(), Some(t) if matches!(t.token, Token::Word(_)));
        if !is_type || c.peek_any(&NOT_A_COLUMN) || c.peek_any(&["BY", "FOR", "TO", "IF"]) {
            return c.unsure("a column without a type");
        }
        // SERIAL stands for BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE.
        self.clause.adds_unique |= c.peek_word("SERIAL");
        while !c.rest.is_empty() && !c.at_partitioning() {
            if c.eat("UNIQUE") {
                c.eat("KEY");
                self.clause.adds_unique = true;
            } else if c.eat_all(&["SERIAL", "DEFAULT", "VALUE"]) {
                self.clause.adds_unique = true;
            } else if c.eat("PRIMARY") || c.peek_word("KEY") {
                c.eat("KEY");
                self.clause.adds_primary_key = true;
            } else if c.eat("REFERENCES") {
                self.clause.adds_foreign_key = true;
            } else if c.eat("AFTER") {
                c.name("the column after AFTER")?;
                return c.end("what follows AFTER");
            } else if c.eat_parens().is_none() {
                c.next();
            }
        }
        Ok(())
    }

    /// Options of the table, which need no commas between them.
    fn options(&mut self, mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
        while !c.rest.is_empty() {
            if c.at_partitioning() {
                return Ok(());
            }
            self.option(&mut c)?;
        }
        Ok(())
    }

    fn option(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), AlterError> {
        let here = *c;
        let defaulted = c.eat("DEFAULT");
        let option = if c.eat_all(&["CHARACTER", "SET"]) {
            "CHARSET"
        } else if let Some(known) = OPTIONS.iter().find(|o| c.peek_word(o)) {
            c.next();
            known
        } else {
            return here.unsure("a keyword this does not know");
        };
        let charset = matches!(option, "CHARSET" | "COLLATE");
        let directory = matches!(option, "DATA" | "INDEX");
        if (defaulted && !charset) || (directory && !c.eat("DIRECTORY")) {
            return here.unsure("an option this does not know");
        }
        c.eat_symbol('=');
        if option == "UNION" {
            return match c.eat_parens() {
                Some(_) => Ok(()),
                None => here.unsure("UNION without a list"),
            };
        }
        let Some(value) = c.next() else {
            return here.unsure("an option without a value");
        };
        match value.token {
            Token::Word(text) | Token::Str(text) | Token::Quoted(text) | Token::Number(text) => {
                match option {
                    "AUTO_INCREMENT" => self.clause.sets_auto_increment = true,
                    "ENGINE" | "TYPE" => {
                        let quotes = ['\'', '"', '`'];
                        self.clause.sets_engine = Some(text.trim_matches(quotes).to_owned());
                    }
                    "TABLESPACE" if c.eat("STORAGE") => {
                        c.next();
                    }
                    _ => {}
                }
                Ok(())
            }
            _ => here.unsure("the value of an option"),
        }
    }
}

/// `ALTER` of a column, an index or a constraint: none of them moves values.
fn alter(mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
    if c.peek_any(&["INDEX", "KEY", "CHECK", "CONSTRAINT"]) {
        return Ok(());
    }
    c.eat("COLUMN");
    c.eat_all(&["IF", "EXISTS"]);
    c.name("the column to alter")?;
    if c.peek_words(&["DROP", "DEFAULT"])
        || c.peek_words(&["SET", "DEFAULT"])
        || c.peek_words(&["SET", "VISIBLE"])
        || c.peek_words(&["SET", "INVISIBLE"])
    {
        Ok(())
    } else {
        c.unsure("what ALTER does to the column")
    }
}

/// What follows `CONVERT TO CHARACTER SET`.
fn convert(mut c: Cursor<'_, '_>) -> Result<(), AlterError> {
    c.next();
    if c.eat("COLLATE") {
        c.eat_symbol('=');
        c.next();
    }
    c.end("what follows CONVERT TO CHARACTER SET")
}
