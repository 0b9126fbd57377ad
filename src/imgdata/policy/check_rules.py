"""The table of everything `imgdata check` can find; the reference pages are written from it."""

from types import MappingProxyType

from imgdata.model.findings import Rule, Severity

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

NO_LEVEL = "none"
_DERIVED = ("masks", "single_cell_images")
_LATER = MappingProxyType({"corrected": NOTE, "masks": NOTE, "single_cell_images": NOTE})
_QUIET_ON_DERIVED = MappingProxyType(dict.fromkeys(_DERIVED, NOTE))
_TIFF6 = "TIFF revision 6.0 (Adobe 1992)"
_SEEDS = "originals must be kept uncompressed or losslessly compressed, and described"
_REMBI = "REMBI (Sarkans et al. 2021, doi:10.1038/s41592-021-01166-8), image acquisition"
_OME = "OME data model 2016-06"
_MASKS = "MIFA (Zulueta-Coarasa et al. 2025, doi:10.1038/s41592-025-02835-8), annotations"
_PYCYTOMINER = "pycytominer and CytoTable conventions for single-cell profiles"

RULES: tuple[Rule, ...] = (
    Rule(
        "IMG-101",
        "truncated",
        ERROR,
        "Pixels or structure the header promises lie beyond the end of the file, so the copy is "
        "not the whole image. Many programs open such a file without complaint.",
        "Copy the file again from the microscope before its disk is wiped, and compare sizes.",
        f"{_TIFF6}: StripOffsets + StripByteCounts; each format's own structure elsewhere",
    ),
    Rule(
        "IMG-102",
        "unreadable",
        ERROR,
        "The file's structure contradicts itself, so no program can be trusted to show the "
        "pixels that were recorded.",
        "Copy the file again; if the original is the same, export it again from the vendor's "
        "software and keep both.",
        "the format's own specification",
    ),
    Rule(
        "IMG-103",
        "empty",
        ERROR,
        "A file of no bytes keeps a name in the listing while the image is gone: usually a disk "
        "that ran full or an interrupted copy.",
        "Copy the file again from the microscope.",
        "a file without bytes holds no image",
    ),
    Rule(
        "IMG-104",
        "not what its name says",
        ERROR,
        "The content is of another kind than the name promises: a web page saved instead of the "
        "download, or an image converted by renaming.",
        "Download or copy the file again; give it the name its content has if it is meant.",
        "the format's first bytes",
    ),
    Rule(
        "IMG-105",
        "same content under several names",
        WARNING,
        "Two fields of view never give identical bytes. One image was copied over another, or "
        "exported twice, and counts double in every statistic.",
        "Find out which name is right, copy the other image again, or exclude the duplicate with "
        "a reason.",
        "equal length and equal hash of the whole content",
        MappingProxyType({"masks": NOTE, "single_cell_images": NOTE}),
    ),
    Rule(
        "IMG-106",
        "changed since ingest",
        ERROR,
        "The bytes differ from those recorded when the file was added. Measurements made before "
        "and after do not come from the same image, whatever the header says.",
        "Bring the recorded version back with `imgdata pull`, or add the new file as a new "
        "version and say why.",
        "md5 recorded by DVC when the file was added",
    ),
    Rule(
        "IMG-107",
        "unsafe content refused",
        ERROR,
        "The description declares XML entities or names paths outside its folder. No microscope "
        "writes that; such content is used to exhaust or mislead readers and was not followed.",
        "Get the file from its source again, and ask who produced it.",
        "XML 1.0 section 4 (entity declarations); OWASP XML external entity prevention",
    ),
    Rule(
        "IMG-201",
        "lossy compression",
        ERROR,
        "Lossy compression changes grey values. Intensities, textures and thresholds measured on "
        "these pixels are not those the detector recorded.",
        "Export the original again without compression or with a lossless one (LZW, deflate, "
        "zstd), and keep the lossy copy only as a preview.",
        f"{_SEEDS}; the format's compression field",
        MappingProxyType({"single_cell_images": WARNING}),
    ),
    Rule(
        "IMG-202",
        "compression not proved lossless",
        WARNING,
        "The file's structure does not say whether its pixels are exact. For an original that is "
        "not good enough: nobody can prove later that nothing was lost.",
        "Ask the vendor's software for an uncompressed or lossless export, or note in "
        "imgdata.yaml under `checks:` why this compression is known to be lossless.",
        f"{_SEEDS}; the format's compression field",
        MappingProxyType({"raw": ERROR}),
    ),
    Rule(
        "IMG-203",
        "looks re-saved from a lossy file",
        WARNING,
        "Grey values jump at every eighth pixel, as JPEG blocks leave them. The file is lossless "
        "now, but what it was made from was not.",
        "Look for the original of this file and keep that one.",
        "8 x 8 block boundary ratio above 1.5 (JPEG, ITU-T T.81); untouched images give about 1.0",
        _LATER,
    ),
    Rule(
        "IMG-204",
        "8-bit data stretched to 16 bit",
        WARNING,
        "At most 256 grey levels in even steps fill the 16-bit range: the dynamic range of the "
        "detector was thrown away before this file was written.",
        "Look for the microscope's own files; export again with the full bit depth.",
        "number of distinct grey values and their greatest common divisor",
        _LATER,
    ),
    Rule(
        "IMG-205",
        "re-saved by another program",
        WARNING,
        "The file was written by an editor or a script, not by the microscope. Its metadata is "
        "gone and nobody can tell whether its pixels were changed.",
        "Archive the microscope's own file as the original; keep this one on a later level.",
        "TIFF tag Software, vendor tags missing, program-specific descriptions",
        _LATER,
    ),
    Rule(
        "IMG-206",
        "looks like an export for display",
        WARNING,
        "A palette or a colour picture with 8 bit a channel is what viewers export for slides. "
        "Its grey values went through a display range.",
        "Archive the file the microscope wrote.",
        "palette colours, or an 8-bit colour image in a picture format",
        _LATER,
    ),
    Rule(
        "IMG-301",
        "no pixel size",
        WARNING,
        "Without the size of a pixel in micrometres no area, distance or speed can be measured, "
        "and images of two microscopes cannot be compared.",
        "Keep the microscope's sidecar files (Index.xml, HTD, mrf/mlf) with the images, or answer "
        "the question with `imgdata describe`.",
        f"{_OME}: Pixels/@PhysicalSizeX; {_REMBI}. A TIFF resolution tag alone is not a pixel size",
        _QUIET_ON_DERIVED,
    ),
    Rule(
        "IMG-302",
        "implausible pixel size",
        WARNING,
        "The pixel size lies outside what light microscopes make (0.02 to 20 um), or is a "
        "placeholder such as 1 or a printer's dots per inch.",
        "Check the calibration of the microscope software and correct the value with "
        "`imgdata describe`.",
        "plausibility band of light microscopy, 0.02 to 20 um in the sample",
        _QUIET_ON_DERIVED,
    ),
    Rule(
        "IMG-303",
        "no manufacturer or model",
        WARNING,
        "Which microscope made the image decides how it can be corrected and compared.",
        "Keep the vendor's own files and sidecars, or answer with `imgdata describe`.",
        f"{_REMBI}: imaging instrument",
        _QUIET_ON_DERIVED,
    ),
    Rule(
        "IMG-304",
        "no acquisition settings",
        WARNING,
        "Without objective, exposure or channel settings the experiment cannot be repeated.",
        "Keep the vendor's own files and sidecars, or answer with `imgdata describe`.",
        f"{_REMBI}: acquisition parameters",
        _QUIET_ON_DERIVED,
    ),
    Rule(
        "IMG-305",
        "facts disagree",
        WARNING,
        "Two places that describe the same image contradict each other, so at least one of them "
        "is wrong.",
        "Find out which is right, and answer with `imgdata describe`.",
        "comparison of the pixel data, the file's description and its sidecars",
        _QUIET_ON_DERIVED,
    ),
    Rule(
        "IMG-401",
        "missing image",
        ERROR,
        "A field of view that was planned or that all other wells have is not there. Wells with "
        "fewer fields bias per-well statistics.",
        "Copy it again from the microscope, or exclude it with a reason: "
        "`imgdata exclude LEVEL --select ... --reason TEXT`.",
        "sidecar file lists, or the product of the fields of the key pattern",
    ),
    Rule(
        "IMG-402",
        "planned planes missing",
        WARNING,
        "The file says it was to hold more planes than are stored: the acquisition was stopped "
        "or the export left planes out.",
        "Check the acquisition log; note why the run was stopped.",
        f"{_OME}: SizeZ x SizeC x SizeT; experiment loops of the vendor",
    ),
    Rule(
        "IMG-403",
        "name does not fit the key",
        WARNING,
        "A file whose name cannot be read belongs to no well, and silently drops out of the "
        "analysis.",
        "Set `key:` in imgdata.yaml to phenix, imagexpress, or the pattern that "
        "`imgdata check FOLDER --infer-key` prints; what is no image of the plate goes into "
        "`ignore:`.",
        "the key pattern of the level",
    ),
    Rule(
        "IMG-404",
        "shape or type differs",
        WARNING,
        "Images of one channel should share shape and bit depth; one that does not was taken "
        "with other settings or processed.",
        "Check how this file was made; exclude it with a reason if it is not part of the plate.",
        "majority of the images with the same key channel",
    ),
    Rule(
        "IMG-405",
        "channel named differently",
        WARNING,
        "One channel bears several names, so tools that select by name lose images.",
        "Correct the name in the acquisition protocol; note the alias in the plate's description.",
        "channel names in the files against the key's channel",
        _QUIET_ON_DERIVED,
    ),
    Rule(
        "IMG-406",
        "unlike its neighbours",
        NOTE,
        "Brightness, saturation or focus lies far outside the rest of its channel: an air "
        "bubble, a lost focus, an empty well or a wrong exposure.",
        "Look at it; exclude it with a reason if it is an artefact.",
        "more than 5 robust standard deviations from its channel's median",
    ),
    Rule(
        "IMG-407",
        "plate map and images differ",
        WARNING,
        "A well with images but without an entry in the plate map has no treatment; one in the "
        "map without images has no data.",
        "Correct the plate map under metadata/, or add the missing images.",
        "wells of the plate map compared as letter and number",
    ),
    Rule(
        "IMG-408",
        "two files with the same key",
        WARNING,
        "Two files claim to be the same well, site and channel; which one is analysed depends on "
        "the order of the listing.",
        "Keep one, or make the key tell them apart.",
        "the key pattern of the level",
    ),
    Rule(
        "IMG-501",
        "binary mask",
        WARNING,
        "The mask has one value only, so touching objects cannot be told apart or counted, and "
        "rows of a profile cannot be joined to objects.",
        "Export label images (one number an object), or label connected components: "
        "skimage.measure.label(mask > 0).",
        _MASKS,
    ),
    Rule(
        "IMG-502",
        "mask is not of integer type",
        ERROR,
        "Labels are names, not measurements; a floating-point mask has been interpolated or "
        "rescaled, which makes labels that belong to no object.",
        "Export the mask as unsigned 16- or 32-bit integers.",
        _MASKS,
    ),
    Rule(
        "IMG-503",
        "mask and image differ in shape",
        ERROR,
        "A mask that does not lie on its image measures the wrong pixels.",
        "Make the mask again from the image it belongs to, without resizing.",
        _MASKS,
    ),
    Rule(
        "IMG-504",
        "labels are not numbered without gaps",
        NOTE,
        "Gaps in the numbering show that objects were removed or that labels were made in "
        "tiles; joins by object number must use the labels as they are.",
        "Nothing, unless a later step numbers objects again: then relabel both together.",
        _MASKS,
    ),
    Rule(
        "IMG-505",
        "mask without an image",
        WARNING,
        "No image on the level below shares this mask's plate, well and site, so nobody can tell "
        "what was segmented.",
        "Check the mask's name, or add the image.",
        _MASKS,
    ),
    Rule(
        "IMG-601",
        "profile cannot be read",
        ERROR,
        "The table is damaged or not of the kind its name says.",
        "Run the stage that writes it again.",
        "Apache Parquet and CSV",
    ),
    Rule(
        "IMG-602",
        "required metadata columns missing",
        WARNING,
        "Without plate and well a row of the profile cannot be traced to an image or a treatment.",
        "Annotate the profile: columns Metadata_Plate and Metadata_Well.",
        _PYCYTOMINER,
    ),
    Rule(
        "IMG-603",
        "profile names images that are not there",
        WARNING,
        "Rows point to image files that the level below does not have, so they cannot be checked "
        "against pixels.",
        "Bring the images back with `imgdata pull`, or correct the names.",
        _PYCYTOMINER,
    ),
    Rule(
        "IMG-604",
        "features with missing values",
        NOTE,
        "Missing values are dropped or filled by later steps, each in its own way.",
        "Decide what they mean before feature selection.",
        _PYCYTOMINER,
    ),
    Rule(
        "IMG-605",
        "constant features",
        NOTE,
        "A feature with one value carries no information and breaks normalisation by its spread.",
        "Drop it in feature selection.",
        _PYCYTOMINER,
    ),
    Rule(
        "IMG-606",
        "columns doubled by a join",
        NOTE,
        "A join left the same column twice with the endings _x and _y; they are read as one.",
        "Join on the shared columns, or drop one of each pair.",
        "pandas.DataFrame.merge suffixes",
    ),
    Rule(
        "IMG-901",
        "not checked: reader missing",
        WARNING,
        "No reader for this format is installed here, so nothing is known about the file. It has "
        "not passed.",
        "Install the readers where imgdata is installed: pip install 'imgdata[formats]'",
        "a file that was not read has not been checked",
    ),
    Rule(
        "IMG-902",
        "not checked to the end",
        NOTE,
        "The file is larger or more deeply nested than a check of headers reads; what was read "
        "is right, the rest is not known.",
        "Run `imgdata check --deep` on this file.",
        "the limits of a header check",
    ),
)

BY_ID = MappingProxyType({rule.id: rule for rule in RULES})


def severity_of(rule: Rule, level: str) -> Severity:
    """Return how much a rule matters on a level; an unknown or empty level is `none`."""
    return rule.by_level.get(level or NO_LEVEL, rule.severity)
