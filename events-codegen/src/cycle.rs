//! Struct types that contain themselves: refused, because a payload must end.

use std::collections::BTreeSet;

use crate::model::{Type, TypeDef, TypeKind};
use crate::read::RawCatalog;
use crate::source::Report;

/// Reports every cycle once, at the first type of it in the file.
pub(crate) fn check(raw: &RawCatalog<'_, '_>, types: &[TypeDef], report: &mut Report<'_>) {
    let mut told = BTreeSet::new();
    for start in 0..types.len() {
        if let Some(path) = find(types, start)
            && !path.iter().any(|index| told.contains(index))
        {
            let names: Vec<_> = path.iter().chain([&start]).map(|index| format!("`{}`", types[*index].name)).collect();
            let message = format!(
                "the type `{}` contains itself ({}); a value of it would never end, also not through `T?`, `[T]` \
                 or `{{T}}`: refer to the other one by an id",
                types[start].name,
                names.join(" in "),
            );
            report.mistake(&raw.types[start].name.span(), message);
            told.extend(path);
        }
    }
}

/// The types on the way from `start` to itself, from the inside out; without recursion, as the
/// file may be anybody's.
fn find(types: &[TypeDef], start: usize) -> Option<Vec<usize>> {
    let mut from = vec![None; types.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(current) = queue.pop_front() {
        for next in contained(&types[current]) {
            if next == start {
                let mut path = vec![start];
                let mut at = current;
                let mut inner = Vec::new();
                while at != start {
                    inner.push(at);
                    at = from[at]?;
                }
                path.extend(inner);
                return Some(path);
            }
            if from[next].is_none() {
                from[next] = Some(current);
                queue.push_back(next);
            }
        }
    }
    None
}

fn contained(ty: &TypeDef) -> impl Iterator<Item = usize> {
    let fields = match &ty.kind {
        TypeKind::Struct(fields) => fields.as_slice(),
        TypeKind::Enum(_) => &[],
    };
    fields.iter().filter_map(|field| match field.ty.innermost() {
        Type::Named(index) => Some(*index),
        _ => None,
    })
}

/// The types, each after those it contains; without recursion, as above.
pub(crate) fn inner_first(types: &[TypeDef]) -> Vec<usize> {
    let mut seen = vec![false; types.len()];
    let mut order = Vec::with_capacity(types.len());
    for start in 0..types.len() {
        let mut stack = vec![(start, false)];
        while let Some((index, done)) = stack.pop() {
            if done {
                order.push(index);
            } else if !std::mem::replace(&mut seen[index], true) {
                stack.push((index, true));
                stack.extend(contained(&types[index]).map(|inner| (inner, false)));
            }
        }
    }
    order
}
