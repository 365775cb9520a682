use super::*;

fn read(text: &str) -> Result<Dictionary, DictionaryError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dictionary.test");
    std::fs::write(&file, text).unwrap();
    Dictionary::of_files(&[file])
}

fn refusal(text: &str) -> (u32, String) {
    let error = read(text).unwrap_err();
    assert!(error.file.ends_with("dictionary.test"), "{error}");
    (error.line, error.reason)
}

#[test]
fn the_shipped_dictionaries_are_read() {
    let dictionary = Dictionary::embedded();
    let name = |vendor, numbers: &[u32]| dictionary.by_path(vendor, numbers).map(|def| def.name.as_str());
    assert_eq!(name(None, &[1]), Some("User-Name"));
    assert_eq!(name(Some(14988), &[8]), Some("Mikrotik-Rate-Limit"));
    assert_eq!(name(Some(17713), &[158, 1]), Some("Cambium-Authorize-Class-Name"));
    assert_eq!(name(None, &[241, 8]), Some("Operator-NAS-Identifier"));
    assert_eq!(name(Some(25506), &[148]), Some("H3C-Acct-IPv6-Input-Gigawords"));
    assert_eq!(name(Some(14559), &[23]), Some("ChilliSpot-Max-Total-Gigawords"));
    assert_eq!(name(Some(55999), &[1]), Some("Accel-VRF-Name"));
    assert_eq!(name(None, &[254]), None);
    let simultaneous = dictionary.attribute("simultaneous-USE").unwrap();
    assert!(simultaneous.internal && simultaneous.vendor.is_none());
    let mppe = dictionary.attribute("MS-MPPE-Send-Key").unwrap();
    assert_eq!((mppe.vendor.as_ref().unwrap().number, mppe.hiding), (311, Some(Hiding::TunnelPassword)));
    let tunnel = dictionary.attribute("Tunnel-Password").unwrap();
    assert!(tunnel.tagged && tunnel.hiding == Some(Hiding::TunnelPassword));
    assert!(dictionary.attribute("EAP-Message").unwrap().concat);
}

#[test]
fn every_file_of_the_folder_is_built_in_and_included() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("dictionary"))
        .collect();
    files.sort();
    let built_in: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(files, built_in);
    let (_, main) = FILES.iter().find(|(name, _)| *name == "dictionary").unwrap();
    for name in built_in {
        let included = main.contains(&format!("$INCLUDE {name}\n"));
        let alternative = name == "dictionary.starent.vsa1";
        assert!(included != alternative || name == "dictionary", "{name}");
    }
}

#[test]
fn names_and_numbers_of_values_are_found() {
    let dictionary = Dictionary::embedded();
    let def = dictionary.attribute("Service-Type").unwrap();
    assert_eq!(dictionary.value_number(def, "framed-user"), Some(2));
    assert_eq!(dictionary.value_name(def, 2_u32), Some("Framed-User"));
    assert_eq!(dictionary.value_name(def, 999_u32), None);
    assert_eq!(dictionary.value_number(def, "No-Such-Thing"), None);
    assert_eq!(dictionary.values(def).next(), Some((1, "Login-User")));
    let plain = dictionary.attribute("User-Name").unwrap();
    assert_eq!(dictionary.values(plain).count(), 0);
}

#[test]
fn a_name_that_two_vendors_use_is_qualified_for_the_second() {
    let dictionary = read(
        "VENDOR One 1\nVENDOR Two 2\n\
         BEGIN-VENDOR One\nATTRIBUTE Rate 5 integer\nVALUE Rate Slow 1\nEND-VENDOR One\n\
         BEGIN-VENDOR Two\nATTRIBUTE Rate 6 integer\nVALUE Rate Fast 1\nEND-VENDOR Two\n",
    )
    .unwrap();
    let (one, two) = (dictionary.attribute("rate").unwrap(), dictionary.attribute("two.rate").unwrap());
    assert_eq!((one.name.as_str(), one.numbers.as_slice()), ("Rate", &[5][..]));
    assert_eq!((two.name.as_str(), two.numbers.as_slice()), ("Two.Rate", &[6][..]));
    assert_eq!(dictionary.attribute("One.Rate"), Some(one));
    assert_eq!(dictionary.attribute("Three.Rate"), None);
    assert_eq!(dictionary.value_name(one, 1_u32), Some("Slow"));
    assert_eq!(dictionary.value_name(two, 1_u32), Some("Fast"));
}

#[test]
fn a_standard_attribute_takes_its_name_from_a_vendor() {
    let dictionary = read("VENDOR One 1\nATTRIBUTE Rate 5 integer One\nATTRIBUTE Rate 6 string\n").unwrap();
    assert_eq!(dictionary.attribute("Rate").unwrap().standard_number(), Some(6));
    assert_eq!(dictionary.attribute("One.Rate").unwrap().numbers.as_slice(), [5]);
}

#[test]
fn aliases_are_all_found_and_the_last_is_shown() {
    let dictionary =
        read("ATTRIBUTE Old 5 integer\nATTRIBUTE New 5 integer\nVALUE Old One 1\nVALUE New Uno 1\n").unwrap();
    assert_eq!(dictionary.standard(5).unwrap().name, "New");
    let old = dictionary.attribute("Old").unwrap();
    assert_eq!(old.standard_number(), Some(5));
    assert_eq!(dictionary.value_name(old, 1_u32), Some("Uno"));
    assert_eq!(dictionary.value_number(old, "One"), Some(1));
}

#[test]
fn a_site_file_redefines_what_is_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dictionary.site");
    std::fs::write(
        &file,
        "ATTRIBUTE Reply-Message 18 octets\nATTRIBUTE Site-Limit 3001 integer\nVALUE Site-Limit None 0\n\
         BEGIN-VENDOR Mikrotik\nATTRIBUTE Mikrotik-Rate-Limit 88 string\nATTRIBUTE Mikrotik-New 99 string\nEND-VENDOR Mikrotik\n",
    )
    .unwrap();
    let dictionary = Dictionary::with_files(&[file]).unwrap();
    assert_eq!(dictionary.standard(18).unwrap().data_type, DataType::Octets);
    assert_eq!(dictionary.attribute("Reply-Message").unwrap().data_type, DataType::Octets);
    assert!(dictionary.attribute("Site-Limit").unwrap().internal);
    assert_eq!(dictionary.by_path(Some(14988), &[8]), None);
    assert_eq!(dictionary.attribute("Mikrotik-Rate-Limit").unwrap().numbers.as_slice(), [88]);
    assert_eq!(dictionary.by_path(Some(14988), &[99]).unwrap().name, "Mikrotik-New");
}

#[test]
fn everything_that_a_line_can_say_is_read() {
    let dictionary = read(
        "# comment\n  attribute  Hex  0x1F  STRING # more\n\
         ATTRIBUTE Tagged 64 Integer has_tag\nATTRIBUTE Secret 69 string has_tag,encrypt=2\n\
         ATTRIBUTE Both 70 octets[16] encrypt=1, array\nATTRIBUTE Long 79 octets concat\n\
         ATTRIBUTE New 80 uint32\nATTRIBUTE Virtual 1100 ipaddr virtual\n\
         ATTRIBUTE Extended-Attribute-1 241 extended\nATTRIBUTE Extended-Vendor-Specific-1 241.26 evs\n\
         ATTRIBUTE Outer 173 tlv\nBEGIN-TLV Outer\nATTRIBUTE Inner 1 integer\nEND-TLV Outer\nATTRIBUTE Other 173.2 byte\n\
         VENDOR Wide 429 format=4,0\nVENDOR Goes-On 24757 format=1,1,c\nVENDOR Plain 9\n\
         BEGIN-VENDOR Wide\nATTRIBUTE Wide-One 0x9001 string\nEND-VENDOR Wide\n\
         BEGIN-VENDOR Plain format=Extended-Vendor-Specific-1\nATTRIBUTE Plain-One 1 string\nEND-VENDOR Plain\n\
         $INCLUDE- dictionary.absent\n",
    )
    .unwrap();
    let def = |name: &str| dictionary.attribute(name).unwrap();
    assert_eq!((def("Hex").data_type, def("Hex").numbers.as_slice()), (DataType::Text, &[31][..]));
    assert!(def("Tagged").tagged && def("Tagged").data_type == DataType::Integer);
    assert_eq!((def("Secret").tagged, def("Secret").hiding), (true, Some(Hiding::TunnelPassword)));
    assert_eq!((def("Both").length, def("Both").hiding), (Some(16), Some(Hiding::UserPassword)));
    assert!(def("Both").array && def("Long").concat && def("Virtual").internal);
    assert_eq!(def("New").data_type, DataType::Integer);
    assert_eq!(def("Inner").numbers.as_slice(), [173, 1]);
    assert_eq!(def("Other").numbers.as_slice(), [173, 2]);
    assert_eq!(dictionary.by_path(Some(429), &[0x9001]).unwrap().name, "Wide-One");
    assert_eq!(dictionary.vendor(429).unwrap().format, VendorFormat::new(4, 0, false).unwrap());
    assert!(dictionary.vendor_named("goes-on").unwrap().format.continuation);
    assert_eq!(dictionary.by_path(None, &[241, 26, 9, 1]).unwrap().name, "Plain-One");
    assert_eq!(def("Plain-One").vendor.as_ref().unwrap().number, 9);
    assert_eq!(def("Plain-One").specific_vendor(), None);
}

#[test]
fn a_mistake_is_named_with_its_line() {
    for (text, line, part) in [
        ("\nATTRIBUTE A 1", 2, "write ATTRIBUTE name number type"),
        ("ATTRIBUTE A x string", 1, "\"x\" is not a number"),
        ("ATTRIBUTE A 0 string", 1, "0 is not a standard attribute"),
        ("ATTRIBUTE A 1 strong", 1, "unknown type \"strong\""),
        ("ATTRIBUTE A 1 octets[0]", 1, "the length must be 1 to 253"),
        ("ATTRIBUTE A 1 string has_tags", 1, "unknown flag \"has_tags\""),
        ("ATTRIBUTE A 1 string encrypt=4", 1, "unknown flag"),
        ("ATTRIBUTE A 1 ipaddr has_tag", 1, "only string, octets and integer can have a tag"),
        ("ATTRIBUTE A 1.1 string", 1, "the attribute above it is not defined"),
        ("ATTRIBUTE A 1 string\nATTRIBUTE B 1.1 string", 2, "A, above it, is string"),
        ("ATTRIBUTE A 1 tlv\nATTRIBUTE B 1.256 string", 2, "does not fit one octet"),
        ("ATTRIBUTE A 1 string\nATTRIBUTE a 2 string", 2, "already has the number 1"),
        (
            "VENDOR V 9\nBEGIN-VENDOR V\nATTRIBUTE A 256 string",
            3,
            "does not fit the vendor's 1 octets of type",
        ),
        ("VENDOR V 0", 1, "must be 1 to 4294967295"),
        ("VENDOR V 9 format=3,1", 1, "is not format="),
        ("VENDOR V 9\nVENDOR V 10", 2, "already number 9"),
        ("BEGIN-VENDOR V", 1, "no VENDOR line"),
        ("VENDOR V 9\nBEGIN-VENDOR V", 2, "has no END-VENDOR"),
        ("VENDOR V 9\nBEGIN-VENDOR V\nEND-VENDOR W", 3, "but BEGIN-VENDOR V is open"),
        ("END-VENDOR V", 1, "without BEGIN-VENDOR"),
        ("ATTRIBUTE A 1 string\nBEGIN-TLV A", 2, "it is string, not tlv"),
        ("ATTRIBUTE A 1 tlv\nBEGIN-TLV A", 0, "has no END-TLV"),
        ("END-TLV A", 1, "without BEGIN-TLV"),
        ("VALUE A B 1", 1, "there is no such attribute"),
        ("ATTRIBUTE A 1 byte\nVALUE A B 256", 2, "does not fit its byte"),
        ("ATTRIBUTE A 1 string\nVALUE A B 1", 2, "whose numbers have no names"),
        ("ATTRIBUTE A 1 byte\nVALUE A B C", 2, "\"C\" is not a number"),
        ("$INCLUDE dictionary.absent", 1, "no such file"),
        ("$INCLUDE dictionary.test", 1, "in a circle"),
        ("ATTRIBUTES A 1 string", 1, "unknown keyword"),
    ] {
        let (at, reason) = refusal(text);
        assert!(at == line && reason.contains(part), "{text:?} gives line {at}: {reason}");
    }
}

#[test]
fn the_language_of_freeradius_4_is_refused_by_name() {
    for text in [
        "ALIAS A B",
        "PROTOCOL RADIUS 1",
        "BEGIN-PROTOCOL RADIUS",
        "STRUCT A B 1",
        "MEMBER A byte",
        "FLAGS internal",
        "DEFINE A string",
        "ENUM A integer",
        "ATTRIBUTE A .2 string",
        "ATTRIBUTE A 1 struct",
        "ATTRIBUTE A 1 string encrypt=Tunnel-Password",
        "ATTRIBUTE A 1 octets key=foo",
    ] {
        let (_, reason) = refusal(text);
        assert!(reason.contains("FreeRADIUS 4"), "{text:?}: {reason}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Dictionary::with_files(&[PathBuf::from("/nonexistent/dictionary.x")]).unwrap_err();
    assert_eq!(error.to_string(), "/nonexistent/dictionary.x: no such file");
}

#[test]
fn names_with_tags_and_of_unknown_attributes_are_understood() {
    let dictionary = Dictionary::embedded();
    let found = |name: &str| {
        let (def, tag) = dictionary.attribute_with_tag(name)?;
        Some((def.name.to_string(), tag))
    };
    assert_eq!(found("Tunnel-Type:1"), Some(("Tunnel-Type".into(), Some(1))));
    assert_eq!(found("tunnel-type"), Some(("Tunnel-Type".into(), None)));
    assert_eq!(found("Tunnel-Type:32"), None);
    assert_eq!(found("User-Name:1"), None);
    assert_eq!(found("Attr-1"), Some(("User-Name".into(), None)));
    assert_eq!(found("Attr-201.1"), Some(("Attr-201.1".into(), None)));
    assert_eq!(found("attr-26.14988.8"), Some(("Mikrotik-Rate-Limit".into(), None)));
    assert_eq!(found("Attr-26.4242.7"), Some(("Attr-26.4242.7".into(), None)));
    assert_eq!(found("Attr-241.200"), Some(("Attr-241.200".into(), None)));
    // What has a type of its own has no parts.
    assert_eq!(found("Attr-123.8"), None);
    assert_eq!(found("Attr-26.14988.8.1"), None);
    assert_eq!(found("Attr-0"), None);
    assert_eq!(found("Attr-x"), None);
    assert_eq!(found("Attr-256"), None);
    assert_eq!(found("No-Such-Attribute"), None);
}
