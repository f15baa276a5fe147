// SPDX-License-Identifier: Apache-2.0
// Scatter-gather lists: bytes scattered over segments of any length and alignment.
//
// An SgView does not own the memory that it names (the ring's data area, a pooled buffer), nor the
// segment table (struct iovec, as the kernel takes it). Both outlive the view and every operation
// that gets it. A view may begin and end anywhere inside a segment, so slicing copies nothing.
// Segments may be empty, and as small as a byte: no operation here assumes that a segment is a
// page, or that two lists break at the same places. Any thread; the functions keep no state.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <optional>
#include <span>

#include "lib/base/units.h"

namespace ballast::io {

class SgView {
 public:
  SgView() = default;
  // All bytes of `segments`.
  explicit SgView(std::span<const iovec> segments);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Bytes [offset, offset + length) of this view; must lie within it.
  SgView slice(std::size_t offset, std::size_t length) const {
    return offset == 0 && length == size_ ? *this : cut(offset, length);
  }

  // Calls visit(std::span<std::byte>) for each non-empty contiguous piece, in order. Stops early
  // when visit returns false. Returns whether it reached the end.
  template <class Visit>
  bool for_each(Visit visit) const;

  // The whole view, if it lies within one segment; else empty.
  std::span<std::byte> contiguous() const {
    if (size_ == 0 || skip_ + size_ > segments_->iov_len) {
      return {};
    }
    return {static_cast<std::byte*>(segments_->iov_base) + skip_, size_};
  }

  // Writes the view's pieces to `out`; returns how many, or nullopt if there are more than fit.
  std::optional<std::size_t> to_iovecs(std::span<iovec> out) const;

 private:
  friend struct Anatomy;
  SgView cut(std::size_t offset, std::size_t length) const;

  const iovec* segments_ = nullptr;  // the first segment the view touches
  std::size_t skip_ = 0;             // bytes of that segment before the view
  std::size_t size_ = 0;             // bytes in the view
};

// Copies to.size() == from.size() bytes. The memory of the two must not overlap.
void copy(SgView to, SgView from);
void copy(SgView to, std::span<const std::byte> from);
void copy(std::span<std::byte> to, SgView from);

void zero(SgView to);

// Fills with `pattern` repeated; byte i of `to` gets pattern[(phase + i) % pattern.size()].
void fill(SgView to, std::span<const std::byte> pattern, std::size_t phase = 0);

// Returns the offset of the first byte that differs, or nullopt if the views, of equal length, have
// equal bytes.
std::optional<std::size_t> first_difference(SgView a, SgView b);

bool is_zero(SgView view);

template <class Visit>
bool SgView::for_each(Visit visit) const {
  const iovec* segment = segments_;
  std::size_t skip = skip_;
  std::size_t left = size_;
  while (left > 0) {
    const std::size_t here = segment->iov_len - skip;
    const std::size_t length = here < left ? here : left;
    if (length > 0) {
      std::byte* const begin = static_cast<std::byte*>(segment->iov_base) + skip;
      if (!visit(std::span<std::byte>{begin, length})) {
        return false;
      }
      left -= length;
    }
    ++segment;
    skip = 0;
  }
  return true;
}

}  // namespace ballast::io
