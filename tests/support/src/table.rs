//! The tables that the writers can write to: how they insert and update, and what must then be
//! found in the table.

/// A table, and what of it is written and judged.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    kind: Kind,
    ignored: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csm,
    Simple,
}

/// One write: unique in a run, so that its content tells which one it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(crate) run: u32,
    pub(crate) writer: u8,
    pub(crate) number: u32,
}

type Values = Vec<(&'static str, String)>;

impl Table {
    /// A table that [`csm::create_table`](crate::csm::create_table) made.
    pub fn csm(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Csm, ignored: Vec::new() }
    }

    /// A table of the caller's, with at least `id` (an integer of any width, `AUTO_INCREMENT` and
    /// primary key), `v` (an integer of at least 32 bits) and `pad` (text of at least 24 bytes).
    pub fn simple(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Simple, ignored: Vec::new() }
    }

    /// Leaves a column out of what is written and judged: one that the alteration drops or changes.
    #[must_use]
    pub fn ignoring(mut self, column: impl Into<String>) -> Self {
        self.ignored.push(column.into());
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn judged(&self, columns: &[&'static str]) -> Vec<&'static str> {
        columns
            .iter()
            .copied()
            .filter(|column| !self.ignored.iter().any(|name| name == column))
            .collect()
    }

    /// The columns that only inserts write: no update may ever change them.
    fn fixed_columns(&self) -> Vec<&'static str> {
        self.judged(match self.kind {
            Kind::Csm => &[
                "module_type",
                "module_id",
                "student_id",
                "max_grade",
                "done",
                "created",
                "course_id",
            ],
            Kind::Simple => &[],
        })
    }

    /// The columns that every write sets.
    fn written_columns(&self) -> Vec<&'static str> {
        self.judged(match self.kind {
            Kind::Csm => &["state", "grade", "modified"],
            Kind::Simple => &["v", "pad"],
        })
    }

    /// An SQL expression: the text of the columns that only inserts write.
    pub(crate) fn fixed_sql(&self) -> String {
        text_sql(&self.fixed_columns())
    }

    /// An SQL expression: the text of the columns that every write sets.
    pub(crate) fn written_sql(&self) -> String {
        text_sql(&self.written_columns())
    }

    /// What [`fixed_sql`](Self::fixed_sql) yields of a row that this write inserted.
    pub(crate) fn fixed_text(&self, token: Token) -> String {
        self.text(&self.fixed_columns(), &self.inserted(token))
    }

    /// What [`written_sql`](Self::written_sql) yields after this write.
    pub(crate) fn written_text(&self, token: Token) -> String {
        self.text(&self.written_columns(), &self.written(token))
    }

    fn text(&self, columns: &[&str], values: &Values) -> String {
        let judged = values.iter().filter(|(column, _)| columns.contains(column));
        judged.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("|")
    }

    /// What every write sets.
    fn written(&self, token: Token) -> Values {
        let Token { run, writer, number } = token;
        match self.kind {
            Kind::Csm => {
                let pad = "0123456789abcdef".repeat(4 + number as usize % 16);
                let state = format!(
                    "{{\"run\": {run}, \"writer\": {writer}, \"number\": {number}, \
                     \"note\": \"caf\u{e9} \u{1f393}\", \"pad\": \"{pad}\"}}"
                );
                let modified = format!(
                    "2025-02-{:02} {:02}:00:00.{:06}",
                    1 + writer % 28,
                    number / 1_000_000 % 24,
                    number % 1_000_000
                );
                vec![("state", state), ("grade", number.to_string()), ("modified", modified)]
            }
            Kind::Simple => {
                let v = (number.wrapping_mul(64) + u32::from(writer)) & 0x7fff_ffff;
                vec![("v", v.to_string()), ("pad", format!("{run:08x}-{writer}-{number}"))]
            }
        }
    }

    /// What an insert sets besides, in the order of the columns.
    fn inserted(&self, token: Token) -> Values {
        let Token { run, writer, number } = token;
        match self.kind {
            Kind::Csm => vec![
                ("module_type", "problem".to_owned()),
                (
                    "module_id",
                    format!("block-v1:writers+type@problem+block@{run:08x}-{writer}-{number}"),
                ),
                // Above all students that `csm::fill` invents.
                ("student_id", (1_000_000_000 + run % 1_000_000_000).to_string()),
                ("max_grade", number.to_string()),
                ("done", "na".to_owned()),
                ("created", "2025-01-01 00:00:00.000000".to_owned()),
                ("course_id", "course-v1:writers".to_owned()),
            ],
            Kind::Simple => Vec::new(),
        }
    }

    pub(crate) fn insert(&self, token: Token, id: Option<i64>) -> String {
        let mut values = self.inserted(token);
        values.extend(self.written(token));
        values.retain(|(column, _)| !self.ignored.iter().any(|name| name == column));
        let mut columns: Vec<_> = values.iter().map(|(column, _)| *column).collect();
        let mut literals: Vec<_> = values.iter().map(|(_, value)| format!("'{value}'")).collect();
        if let Some(id) = id {
            columns.push("id");
            literals.push(id.to_string());
        }
        format!(
            "INSERT INTO `{}` ({}) VALUES ({})",
            self.name,
            columns.join(", "),
            literals.join(", ")
        )
    }

    pub(crate) fn update(&self, token: Token, id: i64) -> String {
        let columns = self.written_columns();
        let values = self.written(token);
        let judged = values.iter().filter(|(column, _)| columns.contains(column));
        let set: Vec<_> = judged.map(|(column, value)| format!("{column} = '{value}'")).collect();
        format!("UPDATE `{}` SET {} WHERE id = {id}", self.name, set.join(", "))
    }

    pub(crate) fn delete(&self, id: i64) -> String {
        format!("DELETE FROM `{}` WHERE id = {id}", self.name)
    }
}

fn text_sql(columns: &[&str]) -> String {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| format!("COALESCE(CONVERT(`{column}` USING utf8mb4), 'NULL')"))
        .collect();
    if columns.is_empty() {
        "''".to_owned()
    } else {
        format!("CONCAT_WS('|', {})", columns.join(", "))
    }
}
