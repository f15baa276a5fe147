// SPDX-License-Identifier: Apache-2.0
// Sense data, in both formats (SPC-5, 4.4).
//
// The disk uses fixed format unless the Control mode page has D_SENSE set. Fixed format has only 32
// bits for INFORMATION. A larger value is left out, and VALID is 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ballast::scsi {

enum class SenseKey : std::uint8_t {
  no_sense = 0x0,
  recovered_error = 0x1,
  not_ready = 0x2,
  medium_error = 0x3,
  hardware_error = 0x4,
  illegal_request = 0x5,
  unit_attention = 0x6,
  data_protect = 0x7,
  copy_aborted = 0xa,
  aborted_command = 0xb,
  miscompare = 0xe,
};

// ADDITIONAL SENSE CODE and its qualifier.
struct AdditionalSense {
  std::uint8_t code = 0;
  std::uint8_t qualifier = 0;
  friend constexpr bool operator==(const AdditionalSense&, const AdditionalSense&) = default;
};

// From SPC-5, annex F.2; only those that are used.
namespace asc {
inline constexpr AdditionalSense no_additional_sense{0x00, 0x00};
inline constexpr AdditionalSense cause_not_reportable{0x04, 0x00};
inline constexpr AdditionalSense becoming_ready{0x04, 0x01};
inline constexpr AdditionalSense initializing_command_required{0x04, 0x02};
inline constexpr AdditionalSense manual_intervention_required{0x04, 0x03};
inline constexpr AdditionalSense access_state_transition{0x04, 0x0a};
inline constexpr AdditionalSense port_in_standby_state{0x04, 0x0b};
inline constexpr AdditionalSense unreachable_copy_target{0x08, 0x04};
inline constexpr AdditionalSense warning{0x0b, 0x00};
inline constexpr AdditionalSense write_error{0x0c, 0x00};
inline constexpr AdditionalSense third_party_device_failure{0x0d, 0x01};
inline constexpr AdditionalSense copy_target_device_not_reachable{0x0d, 0x02};
inline constexpr AdditionalSense incorrect_copy_target_device_type{0x0d, 0x03};
inline constexpr AdditionalSense invalid_field_in_command_information_unit{0x0e, 0x03};
inline constexpr AdditionalSense unrecovered_read_error{0x11, 0x00};
inline constexpr AdditionalSense parameter_list_length_error{0x1a, 0x00};
inline constexpr AdditionalSense miscompare_during_verify{0x1d, 0x00};
inline constexpr AdditionalSense invalid_command_operation_code{0x20, 0x00};
inline constexpr AdditionalSense lba_out_of_range{0x21, 0x00};
inline constexpr AdditionalSense invalid_field_in_cdb{0x24, 0x00};
inline constexpr AdditionalSense invalid_field_in_parameter_list{0x26, 0x00};
inline constexpr AdditionalSense too_many_target_descriptors{0x26, 0x06};
inline constexpr AdditionalSense unsupported_target_descriptor_type{0x26, 0x07};
inline constexpr AdditionalSense too_many_segment_descriptors{0x26, 0x08};
inline constexpr AdditionalSense unsupported_segment_descriptor_type{0x26, 0x09};
inline constexpr AdditionalSense inline_data_length_exceeded{0x26, 0x0b};
inline constexpr AdditionalSense write_protected{0x27, 0x00};
inline constexpr AdditionalSense software_write_protected{0x27, 0x02};
inline constexpr AdditionalSense space_allocation_failed{0x27, 0x07};
inline constexpr AdditionalSense access_state_changed{0x2a, 0x06};
inline constexpr AdditionalSense capacity_data_has_changed{0x2a, 0x09};
inline constexpr AdditionalSense soft_threshold_reached{0x38, 0x07};
inline constexpr AdditionalSense saving_parameters_not_supported{0x39, 0x00};
inline constexpr AdditionalSense failed_self_test{0x3e, 0x03};
inline constexpr AdditionalSense inquiry_data_has_changed{0x3f, 0x03};
inline constexpr AdditionalSense internal_target_failure{0x44, 0x00};
inline constexpr AdditionalSense set_target_port_groups_failed{0x67, 0x0a};
}  // namespace asc

// Returns the name of an additional sense code that is used here, as SPC writes it; "unknown" for
// others.
const char* to_string(AdditionalSense what) noexcept;
const char* to_string(SenseKey key) noexcept;

// SENSE KEY SPECIFIC for ILLEGAL REQUEST and COPY ABORTED: the position of the error.
struct FieldPointer {
  bool in_cdb = true;       // C/D: true for the CDB, false for the parameter list
  bool in_segment = false;  // SD: `byte` counts from the beginning of a segment descriptor
  std::uint16_t byte = 0;
  std::int8_t bit = -1;  // the most significant bit of the field; below 0: no bit is given (BPV 0)
};

struct Sense {
  SenseKey key = SenseKey::no_sense;
  AdditionalSense what{};
  std::optional<std::uint64_t> information{};
  // COMMAND-SPECIFIC INFORMATION; for COPY ABORTED the number of the segment.
  std::optional<std::uint32_t> command_specific{};
  std::optional<FieldPointer> field{};
};

// Writes the sense data of a current error to the front of `out` (at least 40 bytes). Returns its
// length.
std::size_t encode(const Sense& sense, bool descriptor_format, std::span<std::uint8_t> out);

// Short forms for the handlers.
constexpr Sense illegal_request(AdditionalSense what) {
  return Sense{.key = SenseKey::illegal_request, .what = what};
}
constexpr Sense invalid_field_in_cdb(std::size_t byte, int bit = -1) {
  return Sense{.key = SenseKey::illegal_request,
               .what = asc::invalid_field_in_cdb,
               .field = FieldPointer{.byte = static_cast<std::uint16_t>(byte),
                                     .bit = static_cast<std::int8_t>(bit)}};
}
constexpr Sense invalid_field_in_parameter_list(std::size_t byte, int bit = -1) {
  return Sense{.key = SenseKey::illegal_request,
               .what = asc::invalid_field_in_parameter_list,
               .field = FieldPointer{.in_cdb = false,
                                     .byte = static_cast<std::uint16_t>(byte),
                                     .bit = static_cast<std::int8_t>(bit)}};
}

}  // namespace ballast::scsi
