use super::*;
use qc_fleet::{Role, Row, RowKind};

fn row(component: &str, pid: u32, memory_bytes: u64) -> Row {
    let row = Row::new(component, Role::Brain, State::Running, RowKind::Instance);
    Row { pids: vec![pid], memory_bytes: Some(memory_bytes), ..row }
}

#[test]
fn rows_are_sorted_by_value_and_not_by_text() {
    let mut rows = [row("B", 9, 100), row("A", 10, 20), row("C", 8, 100)];
    let order = |text: &str| -> Vec<Order> {
        text.split(',').map(|one| Order::parse(one).unwrap()).collect()
    };
    for (orders, expected) in [
        ("component", "ABC"),
        ("-component", "CBA"),
        ("pid", "CBA"),
        ("memory", "ACB"),
        ("-memory,component", "BCA"),
        ("-memory,-component", "CBA"),
    ] {
        rows.sort_by(|one, other| compare(one, other, &order(orders)));
        let names: String = rows.iter().map(|row| row.component.as_str()).collect();
        assert_eq!(names, expected, "{orders}");
    }
    assert!(Order::parse("sise").unwrap_err().contains("it is one of component, role"));
}

#[test]
fn a_narrow_terminal_gets_fewer_columns() {
    let row = row("BRAIN_ATLAS", 4711, 100 << 20);
    let shown = |width| {
        let columns = Column::fitting(Column::USUAL.into(), &[&row], width);
        columns.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(" ")
    };
    let all = "component role account pid state lock uptime cpu memory restarts detail";
    assert_eq!(shown(120), all);
    assert_eq!(shown(90), all, "it fits to the character");
    assert_eq!(shown(89), "component role account pid state lock uptime cpu restarts detail");
    assert_eq!(shown(10), "component account pid state lock detail");
}

#[test]
fn the_words_are_those_that_the_command_line_takes() {
    for column in Column::value_variants() {
        let name = column.to_possible_value().map(|value| value.get_name().to_owned());
        assert_eq!(name.as_deref(), Some(column.as_str()));
    }
}
