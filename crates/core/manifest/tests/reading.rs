//! Where do objects and fields stand, and which files are passed over?

use manifest::parse;

const FILE: &str = "# a comment
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {example.com/a~b: x}
spec:
  template:
    spec:
      containers:
      - name: web
        image: nginx
      - name: side
---

apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: a}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: b}
  data: &d
    k: v
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: c}
  data:
    <<: *d
    l: w
";

#[test]
fn every_field_has_its_line() {
    let (parsed, problems) = parse("d/a.yaml", FILE.as_bytes());
    assert_eq!(problems, []);
    let places: Vec<_> = parsed.iter().map(|parsed| parsed.place.to_string()).collect();
    assert_eq!(places, ["d/a.yaml:2:1", "d/a.yaml:19:3", "d/a.yaml:22:3", "d/a.yaml:27:3"]);
    let cases = [
        (0, "/apiVersion", Some(2)),
        (0, "/metadata/name", Some(5)),
        (0, "/metadata/annotations/example.com~1a~0b", Some(6)),
        (0, "/spec/template/spec/containers", Some(10)),
        (0, "/spec/template/spec/containers/0", Some(11)),
        (0, "/spec/template/spec/containers/0/image", Some(12)),
        (0, "/spec/template/spec/containers/1/name", Some(13)),
        (0, "/spec/template/spec/containers/2", None),
        (0, "/spec/replicas", None),
        (0, "spec", None),
        (2, "/data/k", Some(26)),
        (3, "/data/k", Some(26)),
        (3, "/data/l", Some(32)),
    ];
    for (object, pointer, line) in cases {
        assert_eq!(parsed[object].line_of(pointer), line, "{object} {pointer}");
    }
}

#[test]
fn json_has_lines_too() {
    let text = "{\n \"apiVersion\": \"v1\",\n \"kind\": \"A\", \"metadata\": {\n  \"name\": \"a\"}}\n\n{\"apiVersion\": \"v1\", \"kind\": \"B\",\n\"metadata\": {\"name\": \"b\"}}";
    let (parsed, problems) = parse("a.json", text.as_bytes());
    assert_eq!(problems, []);
    assert_eq!(
        [parsed[0].line_of("/metadata/name"), parsed[1].line_of("/metadata/name")],
        [Some(4), Some(7)]
    );
    assert_eq!(parsed[1].place.line, 6);
}

#[test]
fn windows_lines_count_once() {
    let (parsed, _) = parse("a.yaml", FILE.replace('\n', "\r\n").as_bytes());
    assert_eq!(parsed[3].line_of("/data/l"), Some(32));
}

#[test]
fn files_that_are_no_manifests_are_passed_over() {
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let counts = |file: &str, text: &str| {
        let (parsed, problems) = parse(file, text.as_bytes());
        (parsed.len(), problems.len())
    };
    let cases = [
        ("a.yaml", "", (0, 0)),
        ("a.yaml", "replicas: 1\n", (0, 0)),
        ("a.yaml", "replicas: [\n", (0, 0)),
        ("a.yaml", "- kind: x\n", (0, 0)),
        ("a.yaml", "kind: x\nmetadata: {name: a}\n", (0, 1)),
        ("a.yaml", "x: [\n# apiVersion: kind: metadata:\n", (0, 1)),
        // Broken where it would have said what it is: passed over, its object would be pruned.
        ("a.yaml", "apiVersion: v1\nkind ConfigMap\nmetadata: {name: a}\n", (0, 1)),
        ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata\n  name: a\n", (0, 1)),
        ("a.yaml", "kind: x\nreplicas: [\n", (0, 0)),
        ("values.yaml", "rule: {kind: x, metadata: {}}\n", (0, 0)),
        ("a.json", "{\"replicas\": 1}", (0, 3)),
        ("a.json", "{", (0, 1)),
        ("a.yaml", &format!("{object}---\nreplicas: 1\n"), (1, 3)),
        ("a.yaml", &format!("{object}---\nreplicas: [\n"), (1, 1)),
        ("a.yaml", &format!("# +argocd:skip-file-rendering\n{object}---\n["), (0, 0)),
    ];
    for (file, text, expected) in cases {
        assert_eq!(counts(file, text), expected, "{file} {text}");
    }
}
