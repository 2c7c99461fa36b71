// The types of the copy of PhotoSwipe that lies beside the page's modules.
export { default } from 'photoswipe';
