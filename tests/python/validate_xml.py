"""Every annotation of a dataset against the XSD, and what the XSD must refuse: validate_xml.py XSD DATASET"""

import sys
from pathlib import Path

from lxml import etree

xsd, dataset = map(Path, sys.argv[1:])
schema = etree.XMLSchema(etree.parse(str(xsd)))
files = sorted(dataset.glob("annotations/*/*/*.xml"))
assert files
for path in files:
    schema.assertValid(etree.parse(str(path)))

TEXT = """<?xml version="1.0" ?><annotation verified="no">
\t<folder>VOC2007</folder>
\t<object>
\t\t<name>Abercrombie &amp; Fitch</name>
\t\t<pose>Unspecified</pose>
\t\t<bndbox><xmin>2</xmin><ymin>325</ymin><xmax>509</xmax><ymax>359</ymax></bndbox>
\t\t<index>7</index>
\t</object>
</annotation>"""


def valid(old="", new=""):
    assert old in TEXT
    return schema.validate(etree.fromstring(TEXT.replace(old, new, 1).encode()))


assert valid()
# As real files differ.
for old, new in [
    (' verified="no"', ""),
    ("<folder>", "<path>/a/b.jpg</path><folder>"),
    ("<pose>Unspecified</pose>", ""),
    ("<xmin>2</xmin><ymin>325</ymin>", "<ymin>325</ymin><xmin>2.5</xmin>"),
    ("<pose>", "<actions><jumping>1</jumping></actions><pose>"),
    (">2<", "> -3 <"),
]:
    assert valid(old, new), (new, schema.error_log)
for old, new in [
    ("<index>7</index>", ""),
    ("<index>7</index>", "<index>7</index><index>7</index>"),
    (">7<", ">-7<"),
    (">7<", "><"),
    (">7<", ">7.5<"),
    (">2<", ">left<"),
    (">2<", ">NaN<"),
    (">2<", ">INF<"),
    ("<xmin>2</xmin>", ""),
    ("<name>Abercrombie &amp; Fitch</name>", ""),
    ("Abercrombie &amp; Fitch", " "),
]:
    assert not valid(old, new), (old, new)
assert not schema.validate(etree.fromstring("<html><body/></html>"))
print(f"{len(files)} annotations")
