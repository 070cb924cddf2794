//! Sets up the memory map, the linker scripts and the configuration.

fn main() -> Result<(), chanbind_device_config::build::Failure> {
    chanbind_device_config::build::for_board(&["link.x", "defmt.x"])
}
