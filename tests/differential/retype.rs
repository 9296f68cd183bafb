//! What an ALTER makes of a type.

use online_alter_support::Flavor;

use crate::rng::Rng;
use crate::types::{
    INTS, TEXTS, Ty, any, bytes, chars, collation, decimal, enumeration, fraction, int, temporal,
};

impl Ty {
    /// What an ALTER may make of it: mostly something akin.
    pub(crate) fn changed(&self, rng: &Rng, flavor: Flavor) -> Ty {
        if rng.chance(8) {
            return any(rng, flavor);
        }
        let c = collation(rng, flavor);
        match self {
            Ty::Int { name, unsigned, zerofill } => match rng.below(12) {
                0..4 => {
                    let at = INTS.iter().position(|n| n == name).unwrap();
                    let wider = rng.below(INTS.len() - at) + at;
                    Ty::Int { name: INTS[wider], unsigned: *unsigned, zerofill: *zerofill }
                }
                4 => Ty::Int { name: rng.one(&INTS), unsigned: *unsigned, zerofill: *zerofill },
                5 | 6 => Ty::Int { name: rng.one(&INTS), unsigned: !unsigned, zerofill: false },
                7 => Ty::Int { name: "BIGINT", unsigned: *unsigned, zerofill: !zerofill },
                8 => Ty::Decimal { digits: 20, scale: rng.chance(30).into(), unsigned: *unsigned },
                9 => Ty::Double { unsigned: false },
                10 => Ty::Text { name: "VARCHAR", len: Some(20), collation: c },
                _ => [Ty::Bit(64), Ty::Float { unsigned: false }, Ty::Year][rng.below(3)].clone(),
            },
            Ty::Decimal { digits, scale, unsigned } => match rng.below(6) {
                0..2 => Ty::Decimal {
                    digits: (digits + 4).min(65),
                    scale: if rng.chance(50) { (scale + 2).min(30) } else { *scale },
                    unsigned: *unsigned,
                },
                2 => decimal(rng),
                3 => Ty::Double { unsigned: false },
                4 => Ty::Int { name: "BIGINT", unsigned: false, zerofill: false },
                _ => Ty::Text { name: "VARCHAR", len: Some(70), collation: c },
            },
            Ty::Float { .. } | Ty::Double { .. } => match rng.below(5) {
                0 => Ty::Float { unsigned: false },
                1 => Ty::Double { unsigned: false },
                2 => Ty::Decimal { digits: 30, scale: 10, unsigned: false },
                3 => Ty::Int { name: "BIGINT", unsigned: false, zerofill: false },
                _ => Ty::Text { name: "VARCHAR", len: Some(40), collation: c },
            },
            Ty::Bit(n) => match rng.below(3) {
                0 => Ty::Bit((n + 3).min(64)),
                1 => Ty::Int { name: "BIGINT", unsigned: true, zerofill: false },
                _ => Ty::Bytes { name: "BINARY", len: Some(8) },
            },
            Ty::Text { name, len, collation } => match rng.below(12) {
                0..3 => Ty::Text { name, len: *len, collation: c },
                3..5 => match len {
                    Some(len) => {
                        let len = Some(rng.one(&[len + 1, len * 2, (len / 2).max(1), 191]));
                        Ty::Text { name, len, collation: *collation }
                    }
                    None => Ty::Text { name: rng.one(&TEXTS), len: None, collation: *collation },
                },
                5 => Ty::Text { name: "CHAR", len: Some(len.unwrap_or(40)), collation: *collation },
                6 => Ty::Text { name: "VARCHAR", len: Some(200), collation: *collation },
                7 => Ty::Text { name: "TEXT", len: None, collation: *collation },
                8 => bytes(rng),
                9 => int(rng),
                10 => temporal(rng),
                _ => [decimal(rng), Ty::Json, enumeration(rng, flavor)][rng.below(3)].clone(),
            },
            Ty::Bytes { .. } => match rng.below(5) {
                0..3 => bytes(rng),
                3 => Ty::Bytes { name: "BLOB", len: None },
                _ => chars(rng, flavor),
            },
            Ty::Enum { members, collation } | Ty::Set { members, collation } => {
                let mut members = members.clone();
                let is_enum = matches!(self, Ty::Enum { .. });
                match rng.below(8) {
                    0..3 => members.push("new".to_owned()),
                    3 => members.reverse(),
                    4 => members.insert(0, "front".to_owned()),
                    5 if members.len() > 1 => drop(members.remove(rng.below(members.len()))),
                    6 => return Ty::Text { name: "VARCHAR", len: Some(60), collation: *collation },
                    _ => {
                        let collation = c;
                        let changes = rng.chance(20);
                        return if is_enum == changes {
                            Ty::Set { members, collation }
                        } else {
                            Ty::Enum { members, collation }
                        };
                    }
                }
                let collation = *collation;
                if is_enum {
                    Ty::Enum { members, collation }
                } else {
                    Ty::Set { members, collation }
                }
            }
            Ty::Date => match rng.below(4) {
                0 => Ty::Datetime(fraction(rng)),
                1 => Ty::Timestamp(0),
                2 => Ty::Text { name: "VARCHAR", len: Some(30), collation: c },
                _ => Ty::Int { name: "INT", unsigned: true, zerofill: false },
            },
            Ty::Time(_) | Ty::Datetime(_) | Ty::Timestamp(_) => match rng.below(8) {
                0 => Ty::Date,
                1 => Ty::Time(fraction(rng)),
                2..4 => Ty::Datetime(fraction(rng)),
                4..6 => Ty::Timestamp(fraction(rng)),
                6 => Ty::Text { name: "VARCHAR", len: Some(30), collation: c },
                _ => Ty::Int { name: "BIGINT", unsigned: false, zerofill: false },
            },
            Ty::Year => int(rng),
            Ty::Json => match rng.below(3) {
                0 => Ty::Text { name: "LONGTEXT", len: None, collation: c },
                1 => Ty::Bytes { name: "LONGBLOB", len: None },
                _ => Ty::Json,
            },
            Ty::Geometry(_) => match rng.below(3) {
                0 => Ty::Bytes { name: "BLOB", len: None },
                _ => Ty::Geometry("GEOMETRY"),
            },
            Ty::Uuid | Ty::Inet6 | Ty::Inet4 => match rng.below(4) {
                0 => Ty::Text { name: "VARCHAR", len: Some(40), collation: c },
                1 => Ty::Bytes { name: "BINARY", len: Some(16) },
                2 => Ty::Inet6,
                _ => self.clone(),
            },
            Ty::Vector(n) => match rng.below(3) {
                0 => Ty::Bytes { name: "VARBINARY", len: Some(40) },
                _ => Ty::Vector(n + 1),
            },
        }
    }
}
