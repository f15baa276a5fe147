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

// The name in this descriptor, if it has one that a LUN of ours can have. SPC-4 ignores LU ID TYPE;
// NUL is of SPC-3.
std::optional<Naa> name_in(Span cscd) {
  constexpr std::uint8_t null_device = 0x20;
  constexpr std::uint8_t binary = 0x01;
  Naa naa;
  const bool is_naa =
      (cscd[4] & 0x0f) == binary && (cscd[5] & 0x3f) == naa_of_the_unit && cscd[7] == naa.size();
  if ((cscd[1] & null_device) != 0 || !is_naa) {
    return std::nullopt;
  }
  std::ranges::copy(cscd.subspan(8, naa.size()), naa.begin());
  return naa;
}

// Why this descriptor does not name that LUN, if so. Blocks of two sizes are not copied.
std::optional<AdditionalSense> refuse_unit(const CopyLun& lun, Bytes logical_block, Span cscd) {
  if (name_in(cscd) != lun.naa) {
    return asc::copy_target_device_not_reachable;
  }
  const std::uint64_t block = be24(cscd, 29);
  if ((cscd[1] & 0x1f) != 0 || (block != 0 && block != lun.logical_block.value()) ||
      lun.logical_block != logical_block) {
    return asc::incorrect_copy_target_device_type;
  }
  return std::nullopt;
}

// One end of a segment: where the descriptor has the index of its unit, and its first block.
struct SegmentEnd {
  std::size_t index_at, lba_at;
};
constexpr SegmentEnd segment_source{4, 12};
constexpr SegmentEnd segment_destination{6, 20};

std::optional<Sense> refuse_index(Span cscds, Span segment, std::size_t number, SegmentEnd end) {
  if (be16(segment, end.index_at) >= cscds.size() / cscd_length) {
    return aborted_at(asc::unreachable_copy_target, number, end.index_at);
  }
  return std::nullopt;
}

Span unit_of(Span cscds, Span segment, SegmentEnd end) {
  return cscds.subspan(be16(segment, end.index_at) * cscd_length, cscd_length);
}

std::optional<Sense> refuse_end(const CopyLun& lun, Bytes logical_block, Span cscds, Span segment,
                                std::size_t number, SegmentEnd end) {
  const std::optional<AdditionalSense> why =
      refuse_unit(lun, logical_block, unit_of(cscds, segment, end));
  if (why.has_value()) {
    return aborted_at(*why, number, end.index_at);
  }
  if (!fits(be64(segment, end.lba_at), be16(segment, 10), lun.capacity)) {
    return aborted_at(asc::no_additional_sense, number, end.lba_at);
  }
  return std::nullopt;
}

CopySegment segment_of(const CopyLun& lun, const CopyLun* source, Span cscds, Span segment,
                       std::size_t number, std::optional<Sense>* error) {
  for (const SegmentEnd end : {segment_source, segment_destination}) {
    if (!error->has_value()) {
      *error = refuse_index(cscds, segment, number, end);
    }
  }
  if (error->has_value()) {
    return {};
  }
  const bool from_source =
      source != nullptr && name_in(unit_of(cscds, segment, segment_source)) == source->naa;
  *error = refuse_end(from_source ? *source : lun, lun.logical_block, cscds, segment, number,
                      segment_source);
  if (!error->has_value()) {
    *error = refuse_end(lun, lun.logical_block, cscds, segment, number, segment_destination);
  }
  return {.from = Lba{be64(segment, segment_source.lba_at)},
          .to = Lba{be64(segment, segment_destination.lba_at)},
          .count = BlockCount{be16(segment, 10)},
          .from_source = from_source};
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
      if (!reader.from_source && overlap(writer.to, writer.count, reader.from, reader.count)) {
        return i;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Naa> other_lun(const Naa& own, Span list) {
  Lengths lengths{};
  if (refuse_header(list, &lengths).has_value() || refuse_cscds(list, lengths.cscds).has_value()) {
    return std::nullopt;
  }
  for (std::size_t at = 0; at < lengths.cscds; at += cscd_length) {
    const std::optional<Naa> name = name_in(list.subspan(header_length + at, cscd_length));
    if (name.has_value() && *name != own) {
      return name;
    }
  }
  return std::nullopt;
}

CopyList read_copy_list(const CopyLun& lun, const CopyLun* source, Span list) {
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
    const CopySegment segment =
        segment_of(lun, source, cscds, list.subspan(at, segment_length), copy.count, &copy.error);
    if (copy.error.has_value()) {
      break;
    }
    copy.segments[copy.count++] = segment;
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
