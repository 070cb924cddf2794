//! Converts ELF files to UF2, the file format of boot loaders that present themselves as a drive.

use object::{
    Endianness,
    read::elf::{ElfFile32, ProgramHeader},
};
use std::error::Error;

const PAYLOAD: usize = 256;
const FLASH: std::ops::Range<u64> = 0x1000_0000..0x2000_0000;

/// Returns the flash contents of an ELF file as a UF2 file for a family of chips.
pub(crate) fn from_elf(elf: &[u8], family: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    blocks(&flash_contents(elf)?, family)
}

/// Returns the contents of the flash from its start. Gaps between segments are filled with 0xff, the value of erased flash.
fn flash_contents(elf: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let file = ElfFile32::<Endianness>::parse(elf)?;
    let endian = file.endian();
    let mut flash = Vec::new();
    for segment in file.elf_program_headers() {
        // The load address: initialised variables lie in flash and are copied to their virtual address in RAM.
        let address = u64::from(segment.p_paddr(endian));
        let data = segment
            .data(endian, elf)
            .map_err(|()| "a segment extends beyond the end of the ELF file")?;
        if data.is_empty() || !FLASH.contains(&address) {
            continue;
        }
        let at = usize::try_from(address - FLASH.start)?;
        let end = at
            .checked_add(data.len())
            .ok_or("a segment extends beyond the address space")?;
        if flash.len() < end {
            flash.resize(end, 0xff);
        }
        flash[at..end].copy_from_slice(data);
    }
    if flash.is_empty() {
        return Err("the ELF file has no segment in flash".into());
    }
    Ok(flash)
}

/// Returns UF2 blocks of 512 bytes, each with 256 bytes of the flash contents.
fn blocks(flash: &[u8], family: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let blocks = u32::try_from(flash.len().div_ceil(PAYLOAD))?;
    let mut out = Vec::new();
    for (number, payload) in (0u32..).zip(flash.chunks(PAYLOAD)) {
        let address = u32::try_from(FLASH.start)? + number * u32::try_from(PAYLOAD)?;
        let head = [
            0x0a32_4655,
            0x9e5d_5157,
            // Flag: the last word of the header is the family.
            0x2000,
            address,
            u32::try_from(PAYLOAD)?,
            number,
            blocks,
            family,
        ];
        let start = out.len();
        out.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        out.extend(payload);
        out.resize(start + 508, 0);
        out.extend(0x0ab1_6f30u32.to_le_bytes());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_out_blocks_as_the_uf2_format_specifies() {
        let contents: Vec<u8> = (0..=255).chain([1, 2, 3]).collect();
        let uf2 = blocks(&contents, 0xe48b_ff56).unwrap();
        assert_eq!(uf2.len(), 1024);
        let word = |at: usize| u32::from_le_bytes(uf2[at..at + 4].try_into().unwrap());
        for (block, start) in [(0, 0), (1, 512)] {
            assert_eq!(&uf2[start..start + 4], b"UF2\n");
            assert_eq!(word(start + 4), 0x9e5d_5157);
            assert_eq!(word(start + 8), 0x2000);
            assert_eq!(word(start + 12), 0x1000_0000 + 256 * block);
            assert_eq!(word(start + 16), 256);
            assert_eq!([word(start + 20), word(start + 24)], [block, 2]);
            assert_eq!(word(start + 28), 0xe48b_ff56);
            assert_eq!(word(start + 508), 0x0ab1_6f30);
        }
        assert_eq!(uf2[32..32 + 256], contents[..256]);
        assert_eq!(uf2[544..550], [1, 2, 3, 0, 0, 0]);
    }
}
