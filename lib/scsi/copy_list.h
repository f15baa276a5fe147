// SPDX-License-Identifier: Apache-2.0
// The parameter list of EXTENDED COPY (LID1) and the limits that RECEIVE COPY OPERATING PARAMETERS
// tells of it (SPC-4, 6.5 and 6.22).
//
// The list names units (CSCD descriptors) and ranges of blocks (segment descriptors). All of them
// are written to the LUN that the command was sent to, which the list names by its NAA designator.
// They are read from there, or from one other LUN that the copy may read (copy_source.h).
//
// The blocks that a list writes must not be blocks of the same LUN that it reads. Otherwise a list
// that was done in part could not be done again, and a retry after BUSY does just that.
//
// Pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/units.h"
#include "lib/scsi/naa.h"
#include "lib/scsi/sense.h"

namespace ballast::scsi {

// The limits. A list may name the same LUN twice, as source and as destination.
inline constexpr std::size_t most_cscd_descriptors = 2;
inline constexpr std::size_t most_copy_segments = 8;
inline constexpr Bytes longest_copy_segment{16 * 1024 * 1024};
// Of the descriptors, and of the list with its header; in bytes.
inline constexpr std::size_t longest_copy_descriptors =
    most_cscd_descriptors * 32 + most_copy_segments * 28;
inline constexpr std::size_t longest_copy_list = 16 + longest_copy_descriptors;

// What a list is judged by.
struct CopyLun {
  Naa naa{};
  Bytes logical_block{};
  BlockCount capacity{};
};

struct CopySegment {
  Lba from{};
  Lba to{};
  BlockCount count{};
  bool from_source = false;  // or else from the LUN itself
};

// The segments before the error are to be copied; none, if the list as a whole is bad.
struct CopyList {
  std::array<CopySegment, most_copy_segments> segments{};
  std::size_t count = 0;
  std::optional<Sense> error{};
};

// `list` is the whole parameter list, or at least its first longest_copy_list bytes. `source`: the
// other LUN that may be read; null: none.
CopyList read_copy_list(const CopyLun& lun, const CopyLun* source,
                        std::span<const std::uint8_t> list);
// The other LUN that the list names, if it does, and if the list is good so far.
std::optional<Naa> other_lun(const Naa& own, std::span<const std::uint8_t> list);

// COPY ABORTED while this segment was worked on.
Sense copy_aborted(AdditionalSense what, std::size_t segment);

inline constexpr std::size_t copy_parameters_length = 46;
void write_copy_parameters(Bytes logical_block, std::size_t copies_at_once,
                           std::span<std::uint8_t, copy_parameters_length> out);

}  // namespace ballast::scsi
