#[test]
fn the_built_in_limits_are_good() {
    super::Limits::builtin().unwrap();
}
