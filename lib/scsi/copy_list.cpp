// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/copy_list.h"

#include <algorithm>
#include <bit>

#include "lib/base/big_endian.h"

namespace ballast::scsi {
namespace {

using Span = std::span<const std::uint8_t>;

constexpr std::size_t header_length = 16;
constexpr std::size_t cscd_length = 32;
constexpr std::size_t segment_length = 28;
constexpr std::uint8_t identification = 0xe4;   // CSCD descriptor type
constexpr std::uint8_t block_to_block = 0x02;   // segment descriptor type
constexpr std::uint8_t naa_of_the_unit = 0x03;  // ASSOCIATION and DESIGNATOR TYPE

// COPY ABORTED because of a field of this segment's descriptor.
Sense aborted_at(AdditionalSense what, std::size_t segment, std::size_t byte) {
  Sense sense = copy_aborted(what, segment);
  sense.field =
      FieldPointer{.in_cdb = false, .in_segment = true, .byte = static_cast<std::uint16_t>(byte)};
  return sense;
}

struct Lengths {
  std::size_t cscds;
  std::size_t segments;
};

std::optional<Sense> refuse_header(Span list, Lengths* lengths) {
  if (list.size() < header_length) {
    return illegal_request(asc::parameter_list_length_error);
  }
  const std::size_t cscds = be16(list, 2);
  const std::size_t segments = be32(list, 8);
  *lengths = {cscds, segments};
  if (cscds + segments > longest_copy_descriptors) {
    return illegal_request(asc::parameter_list_length_error);
  }
  if (be32(list, 12) != 0) {
    return illegal_request(asc::inline_data_length_exceeded);
  }
  if (header_length + cscds + segments > list.size()) {
    return illegal_request(asc::parameter_list_length_error);
  }
  const unsigned list_id_usage = list[1] >> 3 & 0x03;
  if (list_id_usage == 1) {
    return invalid_field_in_parameter_list(1, 4);
  }
  if (list_id_usage == 3 && list[0] != 0) {
    return invalid_field_in_parameter_list(0);
  }
  return std::nullopt;
}

std::optional<Sense> refuse_cscds(Span list, std::size_t length) {
  for (std::size_t at = header_length; at < header_length + length; at += cscd_length) {
    if (list[at] != identification) {
      return illegal_request(asc::unsupported_target_descriptor_type);
    }
    if (header_length + length - at < cscd_length) {
      return invalid_field_in_parameter_list(2);
    }
  }
  if (length / cscd_length > most_cscd_descriptors) {
    return illegal_request(asc::too_many_target_descriptors);
  }
  return std::nullopt;
}

std::optional<Sense> refuse_segments(const CopyLun& lun, Span list, Lengths lengths) {
  const std::size_t begin = header_length + lengths.cscds;
  const std::size_t end = begin + lengths.segments;
  for (std::size_t at = begin; at < end; at += segment_length) {
    if (list[at] != block_to_block) {
      return illegal_request(asc::unsupported_segment_descriptor_type);
    }
    if (end - at < segment_length) {
      return invalid_field_in_parameter_list(8);
    }
    if (be16(list, at + 2) != segment_length - 4) {
      return invalid_field_in_parameter_list(at + 2);
    }
    if (be16(list, at + 10) * lun.logical_block.value() > longest_copy_segment.value()) {
      return invalid_field_in_parameter_list(at + 10);
    }
  }
  if (lengths.segments / segment_length > most_copy_segments) {
    return illegal_request(asc::too_many_segment_descriptors);
  }
  return std::nullopt;
}

// Why this descriptor does not name the LUN, if so. SPC-4 ignores LU ID TYPE; NUL is of SPC-3.
std::optional<AdditionalSense> refuse_unit(const CopyLun& lun, Span cscd) {
  constexpr std::uint8_t null_device = 0x20;
  constexpr std::uint8_t binary = 0x01;
  const bool is_naa = (cscd[4] & 0x0f) == binary && (cscd[5] & 0x3f) == naa_of_the_unit &&
                      cscd[7] == lun.naa.size();
  const Span designator = cscd.subspan(8, lun.naa.size());
  if ((cscd[1] & null_device) != 0 || !is_naa || !std::ranges::equal(designator, lun.naa)) {
    return asc::copy_target_device_not_reachable;
  }
  const std::uint64_t block = be24(cscd, 29);
  if ((cscd[1] & 0x1f) != 0 || (block != 0 && block != lun.logical_block.value())) {
    return asc::incorrect_copy_target_device_type;
  }
  return std::nullopt;
}

std::optional<Sense> refuse_segment(const CopyLun& lun, Span cscds, Span segment,
                                    std::size_t number) {
  for (const std::size_t index_at : {4U, 6U}) {
    const std::size_t index = be16(segment, index_at);
    if (index >= cscds.size() / cscd_length) {
      return aborted_at(asc::unreachable_copy_target, number, index_at);
    }
    const std::optional<AdditionalSense> why =
        refuse_unit(lun, cscds.subspan(index * cscd_length, cscd_length));
    if (why.has_value()) {
      return aborted_at(*why, number, index_at);
    }
  }
  for (const std::size_t lba_at : {12U, 20U}) {
    if (!fits(be64(segment, lba_at), be16(segment, 10), lun.capacity)) {
      return aborted_at(asc::no_additional_sense, number, lba_at);
    }
  }
  return std::nullopt;
}

bool overlap(Lba a, BlockCount a_count, Lba b, BlockCount b_count) {
  return a_count.value() > 0 && b_count.value() > 0 && a.value() < b.value() + b_count.value() &&
         b.value() < a.value() + a_count.value();
}

// The number of a segment that writes blocks which the list reads.
std::optional<std::size_t> find_overlap(std::span<const CopySegment> segments) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    for (const CopySegment& reader : segments) {
      const CopySegment& writer = segments[i];
      if (overlap(writer.to, writer.count, reader.from, reader.count)) {
        return i;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

CopyList read_copy_list(const CopyLun& lun, Span list) {
  CopyList copy;
  Lengths lengths{};
  copy.error = refuse_header(list, &lengths);
  if (!copy.error.has_value()) {
    copy.error = refuse_cscds(list, lengths.cscds);
  }
  if (!copy.error.has_value()) {
    copy.error = refuse_segments(lun, list, lengths);
  }
  if (copy.error.has_value()) {
    return copy;
  }
  const Span cscds = list.subspan(header_length, lengths.cscds);
  const std::size_t begin = header_length + lengths.cscds;
  for (std::size_t at = begin; at < begin + lengths.segments; at += segment_length) {
    const Span segment = list.subspan(at, segment_length);
    copy.error = refuse_segment(lun, cscds, segment, copy.count);
    if (copy.error.has_value()) {
      break;
    }
    copy.segments[copy.count++] = CopySegment{.from = Lba{be64(segment, 12)},
                                              .to = Lba{be64(segment, 20)},
                                              .count = BlockCount{be16(segment, 10)}};
  }
  const std::optional<std::size_t> overlapping =
      find_overlap(std::span{copy.segments}.first(copy.count));
  if (overlapping.has_value()) {
    copy.count = 0;
    copy.error = invalid_field_in_parameter_list(begin + *overlapping * segment_length + 20);
  }
  return copy;
}

Sense copy_aborted(AdditionalSense what, std::size_t segment) {
  return Sense{.key = SenseKey::copy_aborted,
               .what = what,
               .command_specific = static_cast<std::uint16_t>(segment)};
}

void write_copy_parameters(Bytes logical_block, std::size_t copies_at_once,
                           std::span<std::uint8_t, copy_parameters_length> out) {
  std::ranges::fill(out, std::uint8_t{0});
  put32(out, 0, copy_parameters_length - 4);
  out[4] = 0x01;  // SNLID: LIST ID USAGE 11b is supported
  put16(out, 8, most_cscd_descriptors);
  put16(out, 10, most_copy_segments);
  put32(out, 12, longest_copy_descriptors);
  put32(out, 16, longest_copy_segment.value());
  put16(out, 34, copies_at_once);  // TOTAL CONCURRENT COPIES
  out[36] = static_cast<std::uint8_t>(copies_at_once);
  out[37] = static_cast<std::uint8_t>(std::countr_zero(logical_block.value()));
  out[43] = 2;  // IMPLEMENTED DESCRIPTOR LIST LENGTH
  out[44] = block_to_block;
  out[45] = identification;
}

}  // namespace ballast::scsi
