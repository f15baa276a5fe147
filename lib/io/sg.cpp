// SPDX-License-Identifier: Apache-2.0
#include "lib/io/sg.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "lib/base/assert.h"

namespace ballast::io {
namespace {

// Calls visit(a's bytes, b's bytes) for each stretch that is contiguous in both; stops early when
// visit returns false.
template <class Visit>
void for_each_pair(SgView a, SgView b, Visit visit) {
  SgView rest = b;
  a.for_each([&](std::span<std::byte> piece) {
    const bool to_the_end = rest.slice(0, piece.size()).for_each([&](std::span<std::byte> other) {
      const bool go_on = visit(piece.first(other.size()), other);
      piece = piece.subspan(other.size());
      rest = rest.slice(other.size(), rest.size() - other.size());
      return go_on;
    });
    return to_the_end;
  });
}

std::size_t mismatch(std::span<const std::byte> a, std::span<const std::byte> b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
}

}  // namespace

SgView::SgView(std::span<const iovec> segments) : segments_{segments.data()} {
  for (const iovec& segment : segments) {
    size_ += segment.iov_len;
  }
}

SgView SgView::cut(std::size_t offset, std::size_t length) const {
  BALLAST_ASSERT(offset <= size_ && length <= size_ - offset);
  SgView result;
  if (length == 0) {
    return result;
  }
  result.segments_ = segments_;
  result.skip_ = skip_ + offset;
  result.size_ = length;
  while (result.skip_ >= result.segments_->iov_len) {
    result.skip_ -= result.segments_->iov_len;
    ++result.segments_;
  }
  return result;
}

std::optional<std::size_t> SgView::to_iovecs(std::span<iovec> out) const {
  std::size_t count = 0;
  const bool fits = for_each([&](std::span<std::byte> piece) {
    if (count == out.size()) {
      return false;
    }
    out[count++] = iovec{piece.data(), piece.size()};
    return true;
  });
  return fits ? std::optional{count} : std::nullopt;
}

void copy(SgView to, SgView from) {
  BALLAST_ASSERT(to.size() == from.size());
  const std::span<std::byte> target = to.contiguous();
  const std::span<std::byte> source = from.contiguous();
  if (!target.empty() && !source.empty()) {
    std::memcpy(target.data(), source.data(), source.size());
    return;
  }
  if (!source.empty()) {
    copy(to, source);
    return;
  }
  if (!target.empty()) {
    copy(target, from);
    return;
  }
  for_each_pair(to, from, [](std::span<std::byte> out, std::span<std::byte> in) {
    std::memcpy(out.data(), in.data(), in.size());
    return true;
  });
}

void copy(SgView to, std::span<const std::byte> from) {
  BALLAST_ASSERT(to.size() == from.size());
  to.for_each([&](std::span<std::byte> out) {
    std::memcpy(out.data(), from.data(), out.size());
    from = from.subspan(out.size());
    return true;
  });
}

void copy(std::span<std::byte> to, SgView from) {
  BALLAST_ASSERT(to.size() == from.size());
  from.for_each([&](std::span<std::byte> in) {
    std::memcpy(to.data(), in.data(), in.size());
    to = to.subspan(in.size());
    return true;
  });
}

void zero(SgView to) {
  to.for_each([](std::span<std::byte> out) {
    std::memset(out.data(), 0, out.size());
    return true;
  });
}

void fill(SgView to, std::span<const std::byte> pattern, std::size_t phase) {
  BALLAST_ASSERT(!pattern.empty());
  std::size_t at = phase % pattern.size();
  to.for_each([&](std::span<std::byte> out) {
    while (!out.empty()) {
      const std::size_t length = std::min(out.size(), pattern.size() - at);
      std::memcpy(out.data(), pattern.data() + at, length);
      out = out.subspan(length);
      at = (at + length) % pattern.size();
    }
    return true;
  });
}

std::optional<std::size_t> first_difference(SgView a, SgView b) {
  const std::size_t common = std::min(a.size(), b.size());
  std::size_t equal = 0;
  bool differs = false;
  for_each_pair(a.slice(0, common), b.slice(0, common),
                [&](std::span<std::byte> x, std::span<std::byte> y) {
                  if (std::memcmp(x.data(), y.data(), x.size()) == 0) {
                    equal += x.size();
                    return true;
                  }
                  equal += mismatch(x, y);
                  differs = true;
                  return false;
                });
  if (differs || a.size() != b.size()) {
    return equal;
  }
  return std::nullopt;
}

bool is_zero(SgView view) {
  return view.for_each([](std::span<std::byte> piece) {
    // All are zero if the first byte is, and each other byte equals the one before it.
    return piece[0] == std::byte{0} &&
           std::memcmp(piece.data(), piece.data() + 1, piece.size() - 1) == 0;
  });
}

}  // namespace ballast::io
