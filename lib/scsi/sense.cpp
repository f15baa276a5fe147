// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/sense.h"

#include "lib/scsi/command.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/scsi/cdb.h"

namespace ballast::scsi {

namespace {

struct Name {
  AdditionalSense what;
  const char* name;
};

constexpr Name names[] = {
    {asc::no_additional_sense, "NO ADDITIONAL SENSE INFORMATION"},
    {asc::cause_not_reportable, "LOGICAL UNIT NOT READY, CAUSE NOT REPORTABLE"},
    {asc::becoming_ready, "LOGICAL UNIT IS IN PROCESS OF BECOMING READY"},
    {asc::initializing_command_required, "LOGICAL UNIT NOT READY, INITIALIZING COMMAND REQUIRED"},
    {asc::manual_intervention_required, "LOGICAL UNIT NOT READY, MANUAL INTERVENTION REQUIRED"},
    {asc::access_state_transition,
     "LOGICAL UNIT NOT ACCESSIBLE, ASYMMETRIC ACCESS STATE TRANSITION"},
    {asc::port_in_standby_state, "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN STANDBY STATE"},
    {asc::unreachable_copy_target, "UNREACHABLE COPY TARGET"},
    {asc::warning, "WARNING"},
    {asc::write_error, "WRITE ERROR"},
    {asc::third_party_device_failure, "THIRD PARTY DEVICE FAILURE"},
    {asc::copy_target_device_not_reachable, "COPY TARGET DEVICE NOT REACHABLE"},
    {asc::incorrect_copy_target_device_type, "INCORRECT COPY TARGET DEVICE TYPE"},
    {asc::invalid_field_in_command_information_unit, "INVALID FIELD IN COMMAND INFORMATION UNIT"},
    {asc::unrecovered_read_error, "UNRECOVERED READ ERROR"},
    {asc::parameter_list_length_error, "PARAMETER LIST LENGTH ERROR"},
    {asc::miscompare_during_verify, "MISCOMPARE DURING VERIFY OPERATION"},
    {asc::invalid_command_operation_code, "INVALID COMMAND OPERATION CODE"},
    {asc::lba_out_of_range, "LOGICAL BLOCK ADDRESS OUT OF RANGE"},
    {asc::invalid_field_in_cdb, "INVALID FIELD IN CDB"},
    {asc::invalid_field_in_parameter_list, "INVALID FIELD IN PARAMETER LIST"},
    {asc::too_many_target_descriptors, "TOO MANY TARGET DESCRIPTORS"},
    {asc::unsupported_target_descriptor_type, "UNSUPPORTED TARGET DESCRIPTOR TYPE CODE"},
    {asc::too_many_segment_descriptors, "TOO MANY SEGMENT DESCRIPTORS"},
    {asc::unsupported_segment_descriptor_type, "UNSUPPORTED SEGMENT DESCRIPTOR TYPE CODE"},
    {asc::inline_data_length_exceeded, "INLINE DATA LENGTH EXCEEDED"},
    {asc::write_protected, "WRITE PROTECTED"},
    {asc::software_write_protected, "LOGICAL UNIT SOFTWARE WRITE PROTECTED"},
    {asc::space_allocation_failed, "SPACE ALLOCATION FAILED WRITE PROTECT"},
    {asc::access_state_changed, "ASYMMETRIC ACCESS STATE CHANGED"},
    {asc::capacity_data_has_changed, "CAPACITY DATA HAS CHANGED"},
    {asc::soft_threshold_reached, "THIN PROVISIONING SOFT THRESHOLD REACHED"},
    {asc::saving_parameters_not_supported, "SAVING PARAMETERS NOT SUPPORTED"},
    {asc::failed_self_test, "LOGICAL UNIT FAILED SELF-TEST"},
    {asc::inquiry_data_has_changed, "INQUIRY DATA HAS CHANGED"},
    {asc::internal_target_failure, "INTERNAL TARGET FAILURE"},
    {asc::set_target_port_groups_failed, "SET TARGET PORT GROUPS COMMAND FAILED"},
};

constexpr std::size_t sense_key_specific_length = 3;

// Writes SKSV, C/D or SD, BPV and the bit pointer, and then the field pointer (SPC-5, 4.4.2.4.2
// and 4.4.2.4.5).
void put_field(std::span<std::uint8_t> out, const FieldPointer& field) {
  const bool has_bit = field.bit >= 0;
  out[0] =
      static_cast<std::uint8_t>(0x80 | (field.in_cdb ? 0x40 : 0) | (field.in_segment ? 0x20 : 0) |
                                (has_bit ? 0x08 | (field.bit & 0x07) : 0));
  put16(out, 1, field.byte);
}

std::size_t encode_fixed(const Sense& sense, std::span<std::uint8_t> out) {
  constexpr std::size_t length = 18;
  std::fill_n(out.begin(), length, std::uint8_t{0});
  out[0] = 0x70;
  out[2] = static_cast<std::uint8_t>(sense.key);
  if (sense.information.has_value() && *sense.information <= 0xffffffff) {
    out[0] |= 0x80;
    put32(out, 3, *sense.information);
  }
  out[7] = length - 8;
  put32(out, 8, sense.command_specific.value_or(0));
  out[12] = sense.what.code;
  out[13] = sense.what.qualifier;
  if (sense.field.has_value()) {
    put_field(out.subspan(15, sense_key_specific_length), *sense.field);
  }
  return length;
}

std::size_t encode_descriptors(const Sense& sense, std::span<std::uint8_t> out) {
  constexpr std::size_t header = 8;
  constexpr std::size_t information_descriptor = 12;
  constexpr std::size_t command_specific_descriptor = 12;
  constexpr std::size_t sense_key_specific_descriptor = 8;
  std::size_t length = header;
  std::fill_n(
      out.begin(),
      header + information_descriptor + command_specific_descriptor + sense_key_specific_descriptor,
      std::uint8_t{0});
  out[0] = 0x72;
  out[1] = static_cast<std::uint8_t>(sense.key);
  out[2] = sense.what.code;
  out[3] = sense.what.qualifier;
  if (sense.information.has_value()) {
    const std::span<std::uint8_t> descriptor = out.subspan(length, information_descriptor);
    descriptor[0] = 0x00;
    descriptor[1] = information_descriptor - 2;
    descriptor[2] = 0x80;
    put64(descriptor, 4, *sense.information);
    length += information_descriptor;
  }
  if (sense.command_specific.has_value()) {
    const std::span<std::uint8_t> descriptor = out.subspan(length, command_specific_descriptor);
    descriptor[0] = 0x01;
    descriptor[1] = command_specific_descriptor - 2;
    put64(descriptor, 4, *sense.command_specific);
    length += command_specific_descriptor;
  }
  if (sense.field.has_value()) {
    const std::span<std::uint8_t> descriptor = out.subspan(length, sense_key_specific_descriptor);
    descriptor[0] = 0x02;
    descriptor[1] = sense_key_specific_descriptor - 2;
    put_field(descriptor.subspan(4, sense_key_specific_length), *sense.field);
    length += sense_key_specific_descriptor;
  }
  out[7] = static_cast<std::uint8_t>(length - header);
  return length;
}

}  // namespace

const char* to_string(Status status) noexcept {
  switch (status) {
    case Status::good:
      return "GOOD";
    case Status::check_condition:
      return "CHECK CONDITION";
    case Status::condition_met:
      return "CONDITION MET";
    case Status::busy:
      return "BUSY";
    case Status::reservation_conflict:
      return "RESERVATION CONFLICT";
    case Status::task_set_full:
      return "TASK SET FULL";
  }
  return "unknown";
}

const char* to_string(AdditionalSense what) noexcept {
  for (const Name& entry : names) {
    if (entry.what == what) {
      return entry.name;
    }
  }
  return "unknown";
}

const char* to_string(SenseKey key) noexcept {
  switch (key) {
    case SenseKey::no_sense:
      return "NO SENSE";
    case SenseKey::recovered_error:
      return "RECOVERED ERROR";
    case SenseKey::not_ready:
      return "NOT READY";
    case SenseKey::medium_error:
      return "MEDIUM ERROR";
    case SenseKey::hardware_error:
      return "HARDWARE ERROR";
    case SenseKey::illegal_request:
      return "ILLEGAL REQUEST";
    case SenseKey::unit_attention:
      return "UNIT ATTENTION";
    case SenseKey::data_protect:
      return "DATA PROTECT";
    case SenseKey::copy_aborted:
      return "COPY ABORTED";
    case SenseKey::aborted_command:
      return "ABORTED COMMAND";
    case SenseKey::miscompare:
      return "MISCOMPARE";
  }
  return "unknown";
}

std::size_t encode(const Sense& sense, bool descriptor_format, std::span<std::uint8_t> out) {
  BALLAST_ASSERT(out.size() >= 40);
  return descriptor_format ? encode_descriptors(sense, out) : encode_fixed(sense, out);
}

}  // namespace ballast::scsi
