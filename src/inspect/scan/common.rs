//! What is usual at an I2C address, as the data sheets of common chips have it. A hint and no more.

use std::ops::RangeInclusive;

/// The first row that fits counts.
const USUAL: &[(RangeInclusive<u8>, &str)] = &[
    (0x0d..=0x0d, "QMC5883L (compass)"),
    (0x10..=0x10, "VEML7700 (light), VEML6075 (UV)"),
    (0x18..=0x19, "LIS3DH (acceleration), MCP9808 (temperature)"),
    (0x1a..=0x1b, "MCP9808 (temperature)"),
    (0x1c..=0x1d, "MMA8452 (acceleration), FXOS8700 (motion)"),
    (0x1e..=0x1e, "HMC5883L (compass), LSM303 (motion)"),
    (0x20..=0x22, "MCP23017, PCF8574 (port expanders)"),
    (0x23..=0x23, "BH1750 (light), MCP23017, PCF8574 (port expanders)"),
    (0x24..=0x26, "MCP23017, PCF8574 (port expanders)"),
    (0x27..=0x27, "PCF8574 (a character display, mostly), MCP23017"),
    (0x28..=0x28, "BNO055 (motion), PN532 (NFC)"),
    (0x29..=0x29, "VL53L0X (distance), TSL2591 (light), TCS34725 (colour)"),
    (0x36..=0x36, "MAX17048 (battery), AS5600 (angle)"),
    (0x38..=0x38, "AHT10, AHT20 (temperature, humidity), PCF8574A (port expander)"),
    (0x39..=0x39, "TSL2561, AS7341 (light), APDS-9960 (gesture), PCF8574A (port expander)"),
    (0x3a..=0x3b, "PCF8574A (port expander)"),
    (0x3c..=0x3d, "SSD1306, SH1106 (displays), PCF8574A (port expander)"),
    (0x3e..=0x3f, "PCF8574A (a character display, mostly)"),
    (0x40..=0x40, "INA219, INA226 (power), HTU21D, Si7021, HDC1080 (humidity), PCA9685 (PWM)"),
    (0x41..=0x43, "INA219, INA226 (power), PCA9685 (PWM)"),
    (0x44..=0x45, "SHT3x (temperature, humidity), INA219, INA226 (power)"),
    (0x46..=0x47, "INA219, INA226 (power), OPT3001 (light)"),
    (0x48..=0x49, "a thermometer (LM75, TMP117), ADS1x15, PCF8591 (voltages)"),
    (0x4a..=0x4b, "MAX44009 (light), BNO08x (motion), a thermometer (LM75), ADS1x15 (voltages)"),
    (0x4c..=0x4f, "a thermometer (LM75), PCF8591 (voltages)"),
    (0x50..=0x52, "24C32, 24C256 (memories)"),
    (0x53..=0x53, "ADXL345 (acceleration), ENS160 (air), 24C32 (memory)"),
    (0x54..=0x56, "24C32, 24C256 (memories)"),
    (0x57..=0x57, "24C32 (the memory on a clock module, mostly), MAX30102 (pulse)"),
    (0x58..=0x58, "SGP30 (air)"),
    (0x59..=0x59, "SGP40, SGP41 (air)"),
    (0x5a..=0x5a, "MLX90614 (infrared), CCS811 (air), MPR121 (touch)"),
    (0x5b..=0x5b, "CCS811 (air), MPR121 (touch)"),
    (0x5c..=0x5d, "LPS22, LPS25 (pressure), BH1750 (light), AM2320 (humidity)"),
    (0x60..=0x60, "MCP4725 (voltage out), SI5351 (clock), ATECC608 (keys)"),
    (0x61..=0x61, "SCD30 (carbon dioxide), MCP4725 (voltage out)"),
    (0x62..=0x62, "SCD40, SCD41 (carbon dioxide), MCP4725 (voltage out)"),
    (0x68..=0x68, "DS3231, DS1307 (clocks), MPU-6050 (motion), MCP3424 (voltages)"),
    (0x69..=0x69, "MPU-6050 (motion), SPS30 (dust), MCP3424 (voltages)"),
    (0x6a..=0x6b, "LSM6DS (motion), MCP3424 (voltages)"),
    (0x6c..=0x6f, "MCP3424 (voltages), MCP7940 (clock at 0x6f)"),
    (0x70..=0x75, "TCA9548A (multiplexer), HT16K33 (LED driver)"),
    (0x76..=0x77, "MS5611, BMP3xx, DPS310 (pressure), TCA9548A (multiplexer)"),
];

/// What is usual at `address`.
pub(super) fn usual(address: u8) -> Option<&'static str> {
    USUAL.iter().find(|(addresses, _)| addresses.contains(&address)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_do_not_overlap() {
        assert!(USUAL.is_sorted_by(|a, b| a.0.end() < b.0.start()));
        assert!(usual(0x68).is_some_and(|what| what.contains("DS3231")));
        assert_eq!(usual(0x08), None);
    }
}
